"""Pure: the bytes of a model's weights, from the index of its files or from config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.engines.vllm.kv_cache import kinds
from mirrorfleet.engines.vllm.model_config import whole

SCALES = 0.25
"""Bits of a number for its share of the scales, of weights in groups: one of 8 to 32 bits each."""

BITS = {"fp8": 8.0, "mxfp4": 4 + SCALES, "nvfp4": 4.5, "modelopt": 8.0, "modelopt_fp4": 4.5}
"""Bits of a number by ``quant_method``, if config.json does not say more."""

GROUPED = {"awq": 4, "gptq": 4, "auto-round": 4, "awq_marlin": 4, "gptq_marlin": 4}
"""Methods with groups, and their bits if config.json has none."""


@dataclass(frozen=True)
class Weights:
    """``bytes`` of all files together; ``how`` they are known."""

    bytes: int
    how: str


@dataclass(frozen=True)
class Parameters:
    """Numbers of a language model: of the words, of the experts, and of everything else."""

    words: int
    experts: int
    rest: int

    @property
    def total(self) -> int:
        return self.words + self.experts + self.rest


def from_index(text: bytes) -> Weights | None:
    """Return the size that model.safetensors.index.json states; ``None`` if it has none."""
    try:
        size = json.loads(text)["metadata"]["total_size"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(size, int | float) or isinstance(size, bool) or not 0 < size < 2**60:
        return None
    return Weights(int(size), "total_size of model.safetensors.index.json")


def estimate(model: Mapping[str, Any]) -> Weights | None:
    """Estimate the size from config.json; ``None`` if it does not have the figures."""
    found = parameters(model)
    if found is None:
        return None
    narrow, method = bits(model)
    if narrow is None:
        return None
    wide = 32.0 if _dtype(model) == "float32" else 16.0
    # mxfp4 is for experts only. Other methods keep the words, and little else, in 16 bits.
    kept = found.words + (found.rest if method == "mxfp4" and found.experts else 0)
    size = int((kept * wide + (found.total - kept) * (narrow if method else wide)) / 8)
    how = f"{found.total / 1e9:.1f} billion parameters x {narrow if method else wide:g} bits"
    return Weights(size, f"{how}{f', {method}' if method else ''}: an estimate")


def bits(model: Mapping[str, Any]) -> tuple[float | None, str]:
    """Return the bits of a quantized number and the method; no method: the model's own type.

    The bits are ``None`` for a method that is not known here.
    """
    quantized = model.get("quantization_config")
    if not isinstance(quantized, dict):
        return 16.0, ""
    method = str(quantized.get("quant_method") or "?").lower()
    if method in ("compressed-tensors", "modelopt") and (found := _of_groups(quantized)):
        return found, method
    if method in GROUPED:
        size = whole(quantized, "group_size") or 128
        # Each group has a scale of 16 bits and a zero point.
        return (whole(quantized, "bits") or GROUPED[method]) + 20 / size, method
    if method == "bitsandbytes":
        return (8.0 if quantized.get("load_in_8bit") else 4.5), method
    return BITS.get(method), method


def _of_groups(quantized: Mapping[str, Any]) -> float | None:
    """Return the bits of the weights that ``config_groups`` describe."""
    groups = quantized.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        weights = group.get("weights") if isinstance(group, dict) else None
        if isinstance(weights, dict) and (number := whole(weights, "num_bits")):
            size = whole(weights, "group_size")
            return number + (16 / size if size else 0)
    return None


def parameters(model: Mapping[str, Any]) -> Parameters | None:
    """Return the number of parameters; ``None`` if config.json does not have the figures."""
    try:
        return _parameters(model)
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None  # a figure is missing, or is no number


def _parameters(model: Mapping[str, Any]) -> Parameters | None:
    counts = kinds(model)
    if counts is None:
        return None
    hidden, layers = model["hidden_size"], model["num_hidden_layers"]
    words = model["vocab_size"] * hidden * (1 if _ties(model) else 2)
    attention = counts["full"] + counts["sliding"]
    states = counts["state"] and counts["state"] * _state(model, hidden)
    rest = attention * _attention(model, hidden) + states
    experts = whole(model, "num_experts") or whole(model, "n_routed_experts")
    experts = experts or whole(model, "num_local_experts")
    # Nemotron-H has layers of their own for this, with two matrices instead of three.
    matrices, blocks = (2, counts[None]) if "mamba_num_heads" in model else (3, layers)
    if not experts:
        return Parameters(words, 0, rest + blocks * matrices * hidden * model["intermediate_size"])
    dense = whole(model, "first_k_dense_replace")
    narrow = whole(model, "moe_intermediate_size") or model["intermediate_size"]
    latent = whole(model, "moe_latent_size") or hidden
    shared = whole(model, "shared_expert_intermediate_size") or whole(
        model, "moe_shared_expert_intermediate_size"
    )
    shared = shared or whole(model, "n_shared_experts") * narrow
    rest += dense * matrices * hidden * (whole(model, "intermediate_size"))
    rest += (blocks - dense) * (matrices * hidden * shared + hidden * experts)
    return Parameters(words, (blocks - dense) * experts * matrices * latent * narrow, rest)


def _attention(model: Mapping[str, Any], hidden: int) -> int:
    heads = model["num_attention_heads"]
    if rank := whole(model, "kv_lora_rank"):
        rope, plain, value = (
            model[name] for name in ("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
        )
        asked = whole(model, "q_lora_rank")
        query = heads * (plain + rope)
        size = asked * (hidden + query) if asked else hidden * query
        size += hidden * (rank + rope) + rank * heads * (plain + value) + heads * value * hidden
        if index := whole(model, "index_head_dim"):
            indexes = whole(model, "index_n_heads")
            size += asked * indexes * index + hidden * (index + indexes)
        return int(size)
    dimension = whole(model, "head_dim") or hidden // heads
    cached = whole(model, "num_key_value_heads") or heads
    # Qwen3-Next and Qwen3.5 have a gate as large as the queries.
    gate = 2 if "linear_num_value_heads" in model else 1
    return int(hidden * dimension * ((gate + 1) * heads + 2 * cached))


def _state(model: Mapping[str, Any], hidden: int) -> int:
    if "linear_num_value_heads" in model:
        keys = model["linear_num_key_heads"] * model["linear_key_head_dim"]
        values = model["linear_num_value_heads"] * model["linear_value_head_dim"]
        return int(hidden * (2 * keys + 3 * values + 2 * model["linear_num_value_heads"]))
    inner = model["mamba_num_heads"] * model["mamba_head_dim"]
    groups = 2 * model["n_groups"] * model["ssm_state_size"]
    return int(hidden * (3 * inner + groups + model["mamba_num_heads"]))


def _ties(model: Mapping[str, Any]) -> bool:
    """Return whether input and output use the same words. Gemma does, and does not say so."""
    gemma = str(model.get("model_type", "")).startswith("gemma")
    return bool(model.get("tie_word_embeddings", gemma))


def _dtype(model: Mapping[str, Any]) -> str:
    return str(model.get("torch_dtype") or model.get("dtype") or "").removeprefix("torch.")
