"""Pure: the minimum memory that an engine needs on each of its GPUs.

It is the weights and the KV cache of one request with a full context, without activations and CUDA
graphs. Unknown parts of a model count as 0, so a result far above the memory is certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.engines.vllm.model_config import read
from mirrorfleet.planning.vllm import VllmPlan

GIB = 1024**3

SIZES = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2}
"""Bytes of a number in the KV cache, by the data type of the model."""

ELSEWHERE = (
    "cpu-offload-gb",
    "decode-context-parallel-size",
    "enable-expert-parallel",
    "kv-cache-memory-bytes",
    "kv-offloading-size",
    "load-format",
    "num-gpu-blocks-override",
)
"""Options of vLLM that move weights or cache off the GPU: with one, there is no estimate."""

HYBRID = ("hybrid_override_pattern", "attn_layer_indices", "layers_block_type", "mamba_d_state")
"""Keys of config.json that only models with other layers than attention have."""


@dataclass(frozen=True)
class Need:
    """Bytes on each GPU; ``how`` explains the sum in messages."""

    bytes: float
    how: str


def need(engine: VllmPlan, config: bytes, weights: int) -> Need | None:
    """Return the memory that an engine needs on each GPU, ``None`` if it cannot be estimated.

    ``config`` is the model's config.json, ``weights`` the bytes of its files.
    """
    model = read(config)
    if not model or any(name in engine.arguments for name in ELSEWHERE):
        return None
    if engine.quantization and "quantization_config" not in model:
        return None  # loading makes the weights smaller
    stored = str(model.get("torch_dtype") or model.get("dtype") or "").removeprefix("torch.")
    if stored == "float32" and engine.dtype not in ("float32", "float"):
        weights //= 2  # vLLM converts them to 16 bits while loading
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
    """Return the tokens that all layers cache in total; a sliding layer caches its window only."""
    layers = model.get("num_hidden_layers")
    if not isinstance(layers, int) or any(name in model for name in HYBRID):
        return None
    # In some models, the last layers share the cache of earlier layers.
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
    kind = engine.kv_cache_dtype or "auto"
    if kind.startswith(("fp8", "int8")):
        return 1
    if kind != "auto":
        return SIZES.get(kind)
    quantized = model.get("quantization_config")
    if isinstance(quantized, dict) and quantized.get("kv_cache_scheme"):
        return 1
    dtype = engine.dtype if engine.dtype not in (None, "auto") else None
    # Without a dtype, vLLM converts float32 to 16 bits.
    return SIZES.get(dtype) if dtype else 2


def _gib(count: float) -> str:
    return f"{count / GIB:.1f} GiB"
