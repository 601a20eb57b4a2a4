"""What the config.json of a model's weights says of how vLLM can serve it."""

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
"""Where a configuration says for how many tokens the model was trained."""

ALLOWED = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"
"""With it, vLLM takes a window that the model was not trained for."""

LARGEST = 10**6
"""Bytes of a config.json; those of real models have some thousands."""


def read(text: bytes) -> dict[str, Any]:
    """Return the configuration of the model that writes; empty if it is not understood."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    inner = said.get("text_config")
    return {**said, **inner} if isinstance(inner, dict) else said


def read_on_controller(weights: Weights) -> bytes:
    """Return the config.json of weights that the controller pushes; empty if there is none here."""
    if weights.kind != "push":
        return b""
    try:
        return reading.content(Path(weights.source) / "config.json", LARGEST)
    except reading.Unreadable:
        return b""


def indivisible_heads(model: Mapping[str, Any], tensor_parallel: int) -> Iterator[tuple[int, str]]:
    """Yield the heads that cannot be shared out among GPUs: how many, and of which kind.

    vLLM refuses uneven attention heads of any model. KV heads it copies, where there are fewer than
    GPUs; latent attention has none to share out.
    """
    heads = _whole(model, "num_attention_heads")
    if heads and heads % tensor_parallel:
        yield heads, "attention heads"
    cached = _whole(model, "num_key_value_heads")
    few, many = sorted((cached or 1, tensor_parallel))
    if cached and many % few and not model.get("kv_lora_rank"):
        yield cached, "KV heads"


def largest_window(model: Mapping[str, Any]) -> int | None:
    """Return the largest window that vLLM takes of a model; ``None`` if nothing tells."""
    lengths = [length for name in LENGTHS if (length := _whole(model, name))]
    scaling = model.get("rope_parameters") or model.get("rope_scaling") or {}
    if not lengths or not isinstance(scaling, dict):
        return None
    inner = [each for each in scaling.values() if isinstance(each, dict)]
    factors = [each.get("factor") for each in (scaling, *inner)]
    known = [each for each in factors if isinstance(each, int | float) and 1 < each < 1000]
    # With both lengths, vLLM takes the larger one.
    return int(max(lengths) * max(known, default=1))


def allows_longer_window(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    """Does the fleet file have vLLM take a larger window than config.json says?"""
    allowed = environment.get(ALLOWED, "").strip().lower() in ("1", "true")
    return allowed or "hf-overrides" in arguments


def _whole(model: Mapping[str, Any], name: str) -> int:
    found = model.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0
