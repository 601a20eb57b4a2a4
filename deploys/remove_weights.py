"""Remove the weights, and vLLM's environments, on the engine hosts that nothing there starts with
any more.

pyinfra --dry inventories/prod.py deploys/remove_weights.py    # tells which, and how large they are
pyinfra inventories/prod.py deploys/remove_weights.py

What one of the last three generations of a service starts with stays, so that it can be gone back
to; so does what the fleet file wants.
"""

from mirrorfleet import runtime
from mirrorfleet.roles.vllm import removal


def remove_weights() -> None:
    """Remove what nothing on the hosts of this run starts with."""
    runtime.survey(removal)

    removal.remove()


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    remove_weights()
