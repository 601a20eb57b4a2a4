"""Pure: a model against the GPUs and the window that it is to have, by its config.json."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.engines.vllm import model_config
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.runtime.report import Doubt


def refusals(engine: VllmPlan, config: bytes) -> Iterator[str]:
    """Yield why vLLM would not start; ``config`` is empty where no weights are there yet.

    Of weights that are pushed, the check of the fleet file has read it.
    """
    model = model_config.read(config)
    if not model or engine.weights.kind == "push":
        return
    gpus = engine.tensor_parallel
    for count, kind in model_config.uneven(model, gpus):
        why = (
            f"is to split '{engine.model}' over {gpus} GPUs, which do not divide its {count} "
            f"{kind} evenly. Write another tensor_parallel."
        )
        yield why if kind == "attention heads" else Doubt(why)
        break
    trained = model_config.trained(model)
    if (
        trained
        and engine.context > trained
        and not model_config.stretched(engine.arguments, engine.environment)
    ):
        yield (
            f"is to serve '{engine.model}' with a context of {engine.context}, and config.json of "
            f"its weights allows {trained}. Write {trained} or less; for a longer one, the "
            "hf-overrides of the model's card under 'arguments'."
        )
