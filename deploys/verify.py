"""Ask Claude Code as the developers do, through gateway and engine, and say where it fails.

pyinfra inventories/prod.py deploys/verify.py
pyinfra inventories/prod.py deploys/verify.py --data who=all --data models=coder --data report=-

One developer of each group is asked, or all; no host is changed. Ends with 1 where anything fails.
"""

from mirrorfleet.jobs import verify as job


def verify() -> None:
    """Ask, on the hosts of this run."""
    job.prove()


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    verify()
