"""Make the fleet so: engines, then gateways and their front door, then developers' clients.

pyinfra inventories/prod.py deploys/mirror.py
"""

from collections.abc import Sequence

from pyinfra import host as this

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
    redis,
    vllm,
)
from mirrorfleet.roles.registry import ROLES


def mirror(extra: Sequence[runtime.ServingRole] = ()) -> None:
    """Change the hosts of this run. ``extra``: roles of your own, which serve after ours."""
    # One look at every host; what cannot work is refused here, before the first change on any.
    runtime.survey(*ROLES, *extra)

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
    for role in this.loop(extra):  # type: ignore[no-untyped-call]
        role.serve()

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


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    mirror()
