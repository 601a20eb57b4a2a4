"""The config.json of a model's weights: values that limit how vLLM can serve it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mirrorfleet.config import reading
from mirrorfleet.config.vllm import Weights

LENGTHS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
"""Keys with the number of tokens that a model was trained for."""

ALLOWED = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"
"""With this variable, vLLM accepts a context window that the model was not trained for."""

SCALED = {"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"}
"""Types of RoPE scaling whose factor is a part of the trained length already."""

LARGEST = 10**6
"""Most bytes of a config.json; real ones have a few thousand."""


def read(text: bytes) -> dict[str, Any]:
    """Return the configuration of the language model; empty if it cannot be parsed."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(config, dict):
        return {}
    inner = config.get("text_config")
    return {**config, **inner} if isinstance(inner, dict) else config


def read_on_controller(weights: Weights) -> bytes:
    """Return the config.json of weights that the controller uploads; empty for other weights."""
    if weights.kind != "push":
        return b""
    try:
        return reading.content(Path(weights.source) / "config.json", LARGEST)
    except reading.Unreadable:
        return b""


VISION = ("vision_config", "vision_encoder", "visual", "vision_tower")
"""Keys of config.json with the part of a model that reads images."""


def has_vision(model: Mapping[str, Any]) -> bool:
    """Return whether a model reads images."""
    return any(model.get(key) for key in VISION)


def weights_on_controller(weights: Weights) -> int:
    """Return the bytes of the safetensors that the controller uploads; 0 for other weights."""
    return safetensors_bytes(Path(weights.source)) if weights.kind == "push" else 0


def safetensors_bytes(directory: Path) -> int:
    """Return the bytes of a model's safetensors; a second copy in another format does not count."""
    parts = [*directory.glob("model-*-of-*.safetensors")] or [directory / "model.safetensors"]
    return sum(part.stat().st_size for part in parts if part.is_file())


def indivisible_heads(model: Mapping[str, Any], tensor_parallel: int) -> Iterator[tuple[int, str]]:
    """Yield number and kind of heads that ``tensor_parallel`` does not divide evenly.

    vLLM refuses this for attention heads of any model. It copies KV heads if there are fewer than
    GPUs; models with latent attention do not divide them.
    """
    heads = whole(model, "num_attention_heads")
    if heads and heads % tensor_parallel:
        yield heads, "attention heads"
    cached = whole(model, "num_key_value_heads")
    few, many = sorted((cached or 1, tensor_parallel))
    if cached and many % few and not model.get("kv_lora_rank"):
        yield cached, "KV heads"


def largest_window(model: Mapping[str, Any]) -> int | None:
    """Return the largest context window that vLLM accepts, in tokens; ``None`` if unknown."""
    lengths = [length for name in LENGTHS if (length := whole(model, name))]
    scaling = model.get("rope_parameters") or model.get("rope_scaling") or {}
    if not lengths or not isinstance(scaling, dict):
        return None
    parts = [scaling, *(part for part in scaling.values() if isinstance(part, dict))]
    factors = [part.get("factor") for part in parts]
    valid = [factor for factor in factors if isinstance(factor, int | float) and 1 < factor < 1000]
    # With several lengths, vLLM uses the largest one.
    return int(max(lengths) * max(valid, default=1))


def trained_window(model: Mapping[str, Any]) -> int | None:
    """Return the context window that vLLM takes by itself, in tokens; ``None`` if it is unknown.

    It is never above ``largest_window``, which also accepts what only some releases of vLLM do.
    """
    lengths = [length for name in LENGTHS if (length := whole(model, name))]
    scaling = model.get("rope_parameters") or model.get("rope_scaling") or {}
    if not lengths:
        return None
    parts = [scaling, *scaling.values()] if isinstance(scaling, dict) else []
    dicts = [part for part in parts if isinstance(part, dict)]
    kinds = {str(part.get("rope_type") or part.get("type")) for part in dicts}
    if kinds & SCALED or str(model.get("model_type")).startswith("gemma3"):
        return max(lengths)
    return largest_window(model)


def allows_longer_window(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    """Return whether the fleet file allows a larger context window than config.json."""
    allowed = environment.get(ALLOWED, "").strip().lower() in ("1", "true")
    return allowed or "hf-overrides" in arguments


def whole(model: Mapping[str, Any], name: str) -> int:
    """Return a positive integer; 0 if the key is missing or has another value."""
    value = model.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
