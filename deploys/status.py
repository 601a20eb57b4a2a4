"""Say how the fleet is: what runs, since when, what is free, what differs from the fleet file.

pyinfra inventories/prod.py deploys/status.py
pyinfra inventories/prod.py deploys/status.py --data report=-

One exec on each host, and no change. Ends with 1 where anything is not as it should be.
"""

from mirrorfleet.jobs import status as job
from mirrorfleet.roles.registry import ROLES


def status() -> None:
    """Report on the hosts of this run."""
    job.tell(*ROLES)


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    status()
