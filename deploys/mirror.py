"""Make the fleet so: engines, then gateways and their front door, then developers' clients.

pyinfra inventories/prod.py deploys/mirror.py
"""

from mirrorfleet import runtime
from mirrorfleet.roles import (
    claude,
    firewall,
    front,
    litellm,
    migrations,
    ollama,
    ports,
    postgres,
    preflight,
    redis,
    vllm,
)

# One look at every host; what cannot work is refused here, before the first change on any.
runtime.survey(
    *(preflight, firewall, ports, vllm, ollama, redis, postgres),
    *(migrations, litellm, front, claude),
)

# Each role changes the hosts that the plan gives it, and no others.
litellm.admit()  # first: a key that was revoked opens nothing, whatever becomes of the rest
firewall.admit()
ports.reserve()
vllm.serve()
ollama.serve()
redis.serve()
postgres.serve()
migrations.serve()
litellm.serve()
front.serve()
claude.configure()

# Only now does nobody need the keys and passwords of before: they open nothing from here on.
litellm.retire(claude.taken)
postgres.retire()

# What has left the fleet file goes when nobody asks it any more.
front.leave()
litellm.leave()
vllm.leave()
ollama.leave()
redis.leave()
postgres.leave()
ports.release()
firewall.close()

# Exit code 1 where something was skipped on a host.
runtime.finish()
