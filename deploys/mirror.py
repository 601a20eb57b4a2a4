"""Make the fleet so: engines, then the gateways in front of them, then the developers' clients.

pyinfra inventories/prod.py deploys/mirror.py
"""

from roles import claude, host, litellm, ollama, redis, vllm

# One look at every host; what cannot work is refused here, before the first change on any.
host.survey(vllm, ollama, redis, litellm, claude)

# Each role changes the hosts that the plan gives it, and no others.
vllm.serve()
ollama.serve()
redis.serve()
litellm.serve()
claude.configure()

# Only now does nobody need the keys of before: they open nothing from here on.
litellm.retire(claude.taken)
