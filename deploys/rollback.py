"""Roll back one generation: the gateways, one at a time, or another service.

pyinfra inventories/prod.py deploys/rollback.py
pyinfra inventories/prod.py deploys/rollback.py --data service=vllm-coder

Each host returns to its last other verified generation. The next run of deploys/mirror.py applies
the fleet file again.
"""

from pyinfra import host as this

from mirrorfleet.jobs.rollback import rollback_of
from mirrorfleet.runtime.preflight import preflight
from mirrorfleet.runtime.steps import in_order, take_steps


def rollback() -> None:
    """Roll back on the hosts of this run."""
    role = rollback_of(this.data.get("service") or "litellm")

    # Read every host once. Report all problems and stop, before the first change on any host.
    preflight(role)

    for each in in_order([role]):
        take_steps(each, each.apply)


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    rollback()
