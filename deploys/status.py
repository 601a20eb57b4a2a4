"""Show the state of the fleet: what runs, since when, what is free, what differs from its file.

pyinfra inventories/prod.py deploys/status.py
pyinfra inventories/prod.py deploys/status.py --data report=-

One exec on each host, and no change. Exit code 1 if anything differs from the fleet file.
"""

from mirrorfleet.jobs.status import report


def status() -> None:
    """Report on the hosts of this run."""
    report()


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    status()
