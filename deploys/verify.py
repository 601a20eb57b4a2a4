"""Run Claude Code as the developers do, through gateway and engine, and report where it fails.

pyinfra inventories/prod.py deploys/verify.py
pyinfra inventories/prod.py deploys/verify.py --data who=all --data models=coder --data report=-

It runs as one developer of each group, or as all. `fallbacks=ask` asks the fallbacks of models too.
`canary=ask` runs no clients: it measures two turns with each engine and through each gateway.
It changes no host. Exit code 1 on any failure.
"""

from mirrorfleet.jobs import verify as job


def verify() -> None:
    """Verify the hosts of this run."""
    job.verify()


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    verify()
