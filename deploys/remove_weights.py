"""Remove the weights, models and vLLM environments that nothing on an engine host uses any more.

pyinfra --dry inventories/prod.py deploys/remove_weights.py    # shows which, and how large they are
pyinfra inventories/prod.py deploys/remove_weights.py

Weights and environments of the last three generations of a service stay, so that you can roll back.
Those that the fleet file needs stay as well. Models of an Ollama that somebody pulled by hand stay.
"""

from mirrorfleet.roles.ollama.removal import ModelsRemoval
from mirrorfleet.roles.vllm.removal import WeightsRemoval
from mirrorfleet.runtime.preflight import preflight
from mirrorfleet.runtime.steps import in_order, take_steps


def remove_weights() -> None:
    """Remove what no service on the hosts of this run uses."""
    roles = [WeightsRemoval(), ModelsRemoval()]

    # Read every host once, and print what will be removed.
    preflight(*roles)

    for each in in_order(roles):
        take_steps(each, each.remove)


if __name__ == "builtins":  # pyinfra runs this file; an import only defines the deploy
    remove_weights()
