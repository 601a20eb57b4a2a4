"""Read all weights on the engine hosts, and compare every byte with what was downloaded.

pyinfra inventories/prod.py deploys/verify_weights.py

The run names damaged files and records them: the next run of deploys/mirror.py fetches them again.
Running engines go on. Takes some minutes per 100 GB.
"""

from mirrorfleet.roles.vllm.verification import WeightsVerification
from mirrorfleet.runtime.preflight import preflight
from mirrorfleet.runtime.steps import in_order, take_steps


def verify_weights() -> None:
    """Read and compare the weights on the hosts of this run."""
    role = WeightsVerification()

    # Read every host once. Report missing weights and stop.
    preflight(role)

    for each in in_order([role]):
        take_steps(each, each.apply)


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    verify_weights()
