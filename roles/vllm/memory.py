"""Pure: how much memory an engine takes of each of its GPUs, at the least.

What is not understood of a model counts as nothing, so that what exceeds the memory by much does so
in truth: the context's KV cache for one request, and the weights, without activations and CUDA
graphs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.engines.vllm.model_config import read
from mirrorfleet.planning.vllm import VllmPlan

GIB = 1024**3

SIZES = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2}
"""Bytes of a number of the KV cache, by the type of the model."""

ELSEWHERE = (
    "cpu-offload-gb",
    "decode-context-parallel-size",
    "enable-expert-parallel",
    "kv-cache-memory-bytes",
    "kv-offloading-size",
    "load-format",
    "num-gpu-blocks-override",
)
"""Options of vLLM that put weights or cache elsewhere: then nothing is estimated."""

HYBRID = ("hybrid_override_pattern", "attn_layer_indices", "layers_block_type", "mamba_d_state")
"""What the configuration of a model has whose layers are not all attention, by ways of its own."""


@dataclass(frozen=True)
class Need:
    """Bytes on each GPU; ``how`` is the arithmetic, for people."""

    bytes: float
    how: str


def need(engine: VllmPlan, config: bytes, weights: int) -> Need | None:
    """Return what an engine takes of each GPU; ``None`` where that is not understood.

    ``config`` is the model's config.json, ``weights`` the bytes of its files.
    """
    model = read(config)
    if not model or any(name in engine.arguments for name in ELSEWHERE):
        return None
    if engine.quantization and "quantization_config" not in model:
        return None  # smaller once it is loaded
    stored = str(model.get("torch_dtype") or model.get("dtype") or "").removeprefix("torch.")
    if stored == "float32" and engine.dtype not in ("float32", "float"):
        weights //= 2  # vLLM halves them as it loads
    split = engine.tensor_parallel * engine.pipeline_parallel
    how = f"weights {_gib(weights / split)}"
    if split > 1:
        how += f" ({_gib(weights)} / {split})"
    cache = _cache(engine, model)
    if cache is None:
        return Need(weights / split, f"{how}, KV cache not estimated")
    return Need(weights / split + cache.bytes, f"{how} + one window {cache.how}")


def _cache(engine: VllmPlan, model: Mapping[str, Any]) -> Need | None:
    """Return the KV cache of one full window."""
    size, tokens = _size(engine, model), _tokens(engine, model)
    try:
        if rank := model.get("kv_lora_rank"):
            # Multi-head latent attention: one vector for all heads, on every GPU.
            width, what = rank + model["qk_rope_head_dim"], "latent"
        else:
            heads = model.get("num_key_value_heads") or model["num_attention_heads"]
            dimension = (
                model.get("head_dim") or model["hidden_size"] // model["num_attention_heads"]
            )
            heads = max(1, heads // engine.tensor_parallel)
            width, what = 2 * heads * dimension, f"2 x {heads} heads x {dimension}"
    except (KeyError, TypeError, ZeroDivisionError):
        return None
    if size is None or tokens is None:
        return None
    taken = tokens * width * size / engine.pipeline_parallel
    return Need(taken, f"{_gib(taken)} ({what} x {size} bytes, for {engine.context} tokens)")


def _tokens(engine: VllmPlan, model: Mapping[str, Any]) -> int | None:
    """Return the tokens that all layers keep together; a sliding one keeps its window only."""
    layers = model.get("num_hidden_layers")
    if not isinstance(layers, int) or any(name in model for name in HYBRID):
        return None
    # The last ones of some models read what layers before them keep.
    layers -= int(model.get("num_kv_shared_layers") or 0)
    window = model.get("sliding_window")
    narrow = min(engine.context, window) if isinstance(window, int) else engine.context
    if isinstance(kinds := model.get("layer_types"), list):
        kinds = kinds[:layers]
        full, sliding = kinds.count("full_attention"), kinds.count("sliding_attention")
        return full * engine.context + sliding * narrow
    if every := model.get("full_attention_interval"):
        return layers // int(every) * engine.context
    if model.get("use_sliding_window") is False:
        return layers * engine.context
    return layers * narrow


def _size(engine: VllmPlan, model: Mapping[str, Any]) -> int | None:
    wanted = engine.kv_cache_dtype or "auto"
    if wanted.startswith(("fp8", "int8")):
        return 1
    if wanted != "auto":
        return SIZES.get(wanted)
    quantized = model.get("quantization_config")
    if isinstance(quantized, dict) and quantized.get("kv_cache_scheme"):
        return 1
    said = engine.dtype if engine.dtype not in (None, "auto") else None
    # vLLM itself makes the half of float32, where nobody says otherwise.
    return SIZES.get(said) if said else 2


def _gib(count: float) -> str:
    return f"{count / GIB:.1f} GiB"
