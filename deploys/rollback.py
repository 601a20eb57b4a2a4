"""Go back one generation on purpose: of the gateways, one at a time, or of another service.

pyinfra inventories/prod.py deploys/rollback.py
pyinfra inventories/prod.py deploys/rollback.py --data service=vllm-coder

A generation that does not serve gives way to the one that ran. The next run of deploys/mirror.py
goes forward again to what the fleet file says.
"""

from pyinfra import host as this

from mirrorfleet import runtime
from mirrorfleet.jobs import rollback as job


def rollback() -> None:
    """Go back on the hosts of this run."""
    back = job.of(this.data.get("service") or "litellm")

    runtime.survey(back)

    job.go(back)


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    rollback()
