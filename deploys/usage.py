"""Report who used what: the ledgers of all gateways, with `usage` in the fleet file.

pyinfra inventories/prod.py deploys/usage.py
pyinfra inventories/prod.py deploys/usage.py --data since=7d --data by=person --data format=csv

One exec on each gateway, and no change. Exit code 1 if a gateway was not read.
"""

from mirrorfleet.jobs.usage.report import report


def usage() -> None:
    """Report on the gateways of this run."""
    report()


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    usage()
