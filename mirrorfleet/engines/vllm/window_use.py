"""Pure: whether the context window of an engine suits its GPUs: too long, or shorter than it could.

Both rest on estimates (`memory.room`), so they are notices, never errors.
"""

from __future__ import annotations

from mirrorfleet.engines.vllm.memory import Serving, room
from mirrorfleet.engines.vllm.model_config import read, trained_window
from mirrorfleet.engines.vllm.sizing import STEP, WINDOWS, Model, Split, longest

LEAST = 4 * STEP
"""The shortest window that the fleet file accepts."""

WORTH = 1.5
"""A longer window is worth a notice if it is longer by this factor."""


def notice(
    name: str, serving: Serving, concurrency: int | None, config: bytes, weights: int, memory: int
) -> str:
    """Return what is wrong with the window of model ``name``, with the fix; "" if nothing is.

    ``memory`` are the bytes of one GPU, ``weights`` those of the model's files.
    """
    model = Model(read(config), weights)
    found = room(serving, model.config, weights, memory) if weights else None
    if found is None:
        return ""
    key, context, requested = f"models.{name}.context", serving.context, concurrency or 1
    if found.windows < requested:
        fits = longest(model, _split(serving, context), requested, memory, LEAST)
        fix = f"Write context: {fits.split.context}, or use" if fits else "Use"
        windows = "one window" if requested == 1 else f"{requested} windows"
        return (
            f"{key} is {context}, but by estimate {found.windows:.1f} such windows fit the GPUs, "
            f"and the engine must hold {windows}. {fix} more GPUs, or kv_cache_dtype: fp8."
        )
    trained, many = trained_window(model.config) or 0, max(WINDOWS, requested)
    if context * WORTH <= trained:
        fits = longest(model, _split(serving, trained), many, memory, int(context * WORTH))
        if fits:
            length = fits.split.context
            return (
                f"{key} is {context}, but the model was trained for {trained} tokens, and by "
                f"estimate {many} windows of {length} tokens fit the GPUs. Write context: "
                f"{length}, or use fewer GPUs."
            )
    return ""


def _split(serving: Serving, context: int) -> Split:
    """Return how a model is served, with another window."""
    return Split(
        tensor_parallel=serving.tensor_parallel,
        context=context,
        kv_cache_dtype=serving.kv_cache_dtype,
        pipeline_parallel=serving.pipeline_parallel,
        gpu_memory_utilization=serving.gpu_memory_utilization,
        dtype=serving.dtype,
        quantization=serving.quantization,
        arguments=serving.arguments,
    )
