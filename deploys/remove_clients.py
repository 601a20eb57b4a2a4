"""Take Claude Code's settings, keys and commands back from every developer's machine.

pyinfra inventories/prod.py deploys/remove_clients.py

A developer's own file comes back byte for byte, if nobody has changed it since; else it loses our
keys and keeps all others. Engines and gateways are left as they are.
"""

from mirrorfleet import runtime
from mirrorfleet.roles.claude import removal


def remove_clients() -> None:
    """Take the clients back on the hosts of this run."""
    # One look at every host; what cannot work is refused here, before the first change on any.
    runtime.survey(removal)

    removal.remove()

    # Exit code 1 where a home was skipped.
    runtime.finish()


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    remove_clients()
