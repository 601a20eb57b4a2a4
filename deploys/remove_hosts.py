"""Remove everything of Mirrorfleet from hosts that will leave the fleet file.

pyinfra --limit gpu-b inventories/prod.py deploys/remove_hosts.py

Hosts that still have a part in the fleet file are refused. Weights and Ollama's models stay, unless
you add --data models=remove; a database with its backups, unless you add --data database=remove.
"""

from mirrorfleet.jobs.decommission import Decommission
from mirrorfleet.roles.claude.removal import ClaudeRemoval
from mirrorfleet.runtime.preflight import preflight
from mirrorfleet.runtime.skipped import finish
from mirrorfleet.runtime.steps import in_order, take_steps


def remove_hosts() -> None:
    """Remove everything from the hosts of this run."""
    roles = (ClaudeRemoval(), Decommission())

    # Read every host once. Report all problems and stop, before the first change on any host.
    preflight(*roles)

    for role in in_order(roles):
        take_steps(role, role.remove)

    # Exit code 1 if a home was skipped.
    finish()


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    remove_hosts()
