"""Pure: a model against the GPUs and the window that it is to have, by its config.json."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config.problems import Problem
from mirrorfleet.engines.vllm import model_config
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.runtime.problems import error, warning


def problems(engine: VllmPlan, config: bytes) -> Iterator[Problem]:
    """Yield why vLLM would not start; ``config`` is empty where no weights are there yet.

    The check of the fleet file has read the config.json of weights that are pushed.
    """
    model = model_config.read(config)
    if not model or engine.weights.kind == "push":
        return
    gpus = engine.tensor_parallel
    for count, kind in model_config.indivisible_heads(model, gpus):
        yield (error if kind == "attention heads" else warning)(
            f"'{engine.model}' should be split over {gpus} GPUs, which do not divide its {count} "
            f"{kind} evenly.",
            "Set another tensor_parallel.",
        )
        break
    trained = model_config.largest_window(model)
    if (
        trained
        and engine.context > trained
        and not model_config.allows_longer_window(engine.arguments, engine.environment)
    ):
        yield error(
            f"'{engine.model}' has a context of {engine.context}, and config.json of its weights "
            f"allows {trained}.",
            f"Set {trained} or less; for a longer one, set the hf-overrides of the model's card "
            "under 'arguments'.",
        )
