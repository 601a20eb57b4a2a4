"""Pure: whether a model fits its GPUs and its context window, by its config.json."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config.problems import Problem
from mirrorfleet.engines.vllm import model_config
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.runtime.problems import error, warning


def problems(engine: VllmPlan, config: bytes) -> Iterator[Problem]:
    """Yield why vLLM would not start. ``config`` is empty if the host has no weights yet.

    The check of the fleet file covers weights with `push`.
    """
    model = model_config.read(config)
    if not model or engine.weights.kind == "push":
        return
    gpus = engine.tensor_parallel
    for count, kind in model_config.indivisible_heads(model, gpus):
        yield (error if kind == "attention heads" else warning)(
            f"'{engine.model}' cannot be split over {gpus} GPUs: {count} {kind} are not "
            f"divisible by {gpus}.",
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
            f"'{engine.model}' has a context of {engine.context} tokens, but config.json of its "
            f"weights allows {trained}.",
            f"Set context to {trained} or less, or set the hf-overrides of the model card under "
            "'arguments'.",
        )
