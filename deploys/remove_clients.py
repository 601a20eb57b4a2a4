"""Remove Claude Code's settings, keys and commands from every developer's machine.

pyinfra inventories/prod.py deploys/remove_clients.py

A developer's own file comes back byte for byte if it has not changed since. Otherwise it loses the
keys of the fleet and keeps all others. Engines and gateways stay as they are.
"""

from mirrorfleet.roles.claude.removal import ClaudeRemoval
from mirrorfleet.runtime.preflight import preflight
from mirrorfleet.runtime.skipped import finish
from mirrorfleet.runtime.steps import in_order, take_steps


def remove_clients() -> None:
    """Remove the clients from the hosts of this run."""
    role = ClaudeRemoval()

    # Read every host once. Report all problems and stop, before the first change on any host.
    preflight(role)

    for each in in_order([role]):
        take_steps(each, each.remove)

    # Exit code 1 if a home was skipped.
    finish()


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    remove_clients()
