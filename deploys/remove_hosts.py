"""Take all of ours off hosts that are about to leave the fleet file.

pyinfra --limit gpu-b inventories/prod.py deploys/remove_hosts.py

Hosts that still have a part in the fleet file are refused. Weights and Ollama's models stay, unless
you add --data models=remove; a database with its backups, unless you add --data database=remove.
"""

from mirrorfleet import runtime
from mirrorfleet.jobs import decommission
from mirrorfleet.roles.claude import removal


def remove_hosts() -> None:
    """Take everything off the hosts of this run."""
    # One look at every host; what cannot be is refused here, before the first change on any.
    runtime.survey(removal, decommission)

    removal.remove()
    decommission.clear()

    # Exit code 1 where a home was skipped.
    runtime.finish()


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    remove_hosts()
