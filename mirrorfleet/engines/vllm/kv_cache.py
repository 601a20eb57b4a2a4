"""Pure: the KV cache of a model on one GPU, from config.json, as vLLM 0.32.0 allocates it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mirrorfleet.engines.vllm.model_config import whole

Kind = Literal["full", "sliding", "state"]

BLOCK = 16
"""Tokens of a block of vLLM's cache. Blocks of models with states are a multiple of it."""

STATES = 2
"""States of a request that vLLM keeps with prefix caching: the current one, and one to share.

Mamba 2 keeps a third one while it reads the prompt.
"""

SPARSE_FP8 = 656
"""Bytes of a token with kv_cache_dtype fp8 in a layer of sparse latent attention, with scales."""

NAMES: Mapping[str, Kind | None] = {
    **dict.fromkeys(("full_attention", "attention", "*"), "full"),
    "sliding_attention": "sliding",
    **dict.fromkeys(("linear_attention", "mamba", "M"), "state"),
    **dict.fromkeys(("moe", "mlp", "E", "-"), None),
}
"""The kinds of layers by their names in config.json; ``None`` for layers without a cache."""

PERIODS = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "cohere2": 4, "gpt_oss": 2}
"""If config.json lists no layers: one of so many has full attention, the others slide."""

SLIDING = {"mistral": 4096, "gemma2": 4096, "gemma3_text": 4096, "cohere2": 4096, "gpt_oss": 128}
"""The windows of sliding layers that transformers assumes if config.json has no such key."""

UNKNOWN = (
    "attention_chunk_size",
    "attn_layer_indices",
    "compress_ratios",
    "linear_attn_config",
    "mamba_d_state",
    "swa_num_key_value_heads",
)
"""Keys of models whose layers are not known here."""


@dataclass(frozen=True)
class Layers:
    """``count`` layers with a cache of the same kind, on one GPU.

    ``bytes`` are those of one token in one layer; those of a state do not depend on the tokens.
    A sliding layer keeps ``window`` tokens. vLLM reserves ``states`` for a request. ``how`` is the
    product behind ``bytes``.
    """

    kind: Kind
    count: int
    bytes: int
    how: str
    window: int = 0
    states: int = STATES

    def held(self, tokens: int) -> int:
        """Return the bytes that one layer keeps of a request of ``tokens`` tokens."""
        if self.kind == "state":
            return self.bytes
        return self.bytes * (min(tokens, self.window) if self.window else tokens)


def layers(
    model: Mapping[str, Any], tensor_parallel: int, number: int
) -> tuple[Layers, ...] | None:
    """Return the layers that have a cache; ``None`` if they are unknown.

    ``number`` are the bytes of a number in the KV cache: 2, or 1 with fp8.
    """
    counts = kinds(model)
    if counts is None:
        return None
    try:
        return tuple(_layers(model, counts, tensor_parallel, number))
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None  # a figure is missing, or is no number


def kinds(model: Mapping[str, Any]) -> Counter[Kind | None] | None:
    """Return the number of layers by kind; ``None`` if a layer is unknown.

    The kind ``None`` stands for layers without a cache.
    """
    total = whole(model, "num_hidden_layers")
    if not total or any(model.get(name) for name in UNKNOWN) or 0 in _list(model, "attn_type_list"):
        return None
    pattern = model.get("hybrid_override_pattern")
    named = list(pattern) if isinstance(pattern, str) else _list(model, "layers_block_type")
    if named and len(named) != total:
        return None
    # In some models, the last layers share the cache of earlier layers.
    own = total - whole(model, "num_kv_shared_layers")
    named = (named or _list(model, "layer_types"))[:own]
    if named:
        if not all(isinstance(name, str) and name in NAMES for name in named):
            return None
        return Counter(NAMES[name] for name in named)
    if interval := whole(model, "full_attention_interval"):
        return Counter({"full": own // interval, "state": own - own // interval})
    if not _window(model) or model.get("use_sliding_window") is False:
        return Counter({"full": own})
    period = whole(model, "sliding_window_pattern") or PERIODS.get(str(model.get("model_type")), 0)
    full = own // period if period else 0
    if model.get("use_sliding_window"):
        full = min(own, whole(model, "max_window_layers"))
    return Counter({"full": full, "sliding": own - full})


def assumed(
    model: Mapping[str, Any], tensor_parallel: int, number: int
) -> tuple[Layers, ...] | None:
    """Return the layers of an unknown architecture as if all had full attention: an upper bound."""
    plain = {key: value for key, value in model.items() if key not in LAYOUT}
    return layers({**plain, "use_sliding_window": False}, tensor_parallel, number)


LAYOUT = (
    *UNKNOWN,
    "model_type",
    "layer_types",
    "layers_block_type",
    "hybrid_override_pattern",
    "full_attention_interval",
    "sliding_window_pattern",
    "attn_type_list",
)
"""Keys that ``assumed`` ignores."""


def bytes_per_token(found: Sequence[Layers]) -> int:
    """Return the bytes of one more token of a long request, in all layers of a GPU."""
    return sum(each.count * each.bytes for each in found if each.kind == "full")


def least(found: Sequence[Layers], tokens: int) -> int:
    """Return the bytes that a request of ``tokens`` tokens needs at least, in all layers."""
    return sum(each.count * each.held(tokens) for each in found)


def reserved(found: Sequence[Layers], tokens: int, in_flight: int, block: int = BLOCK) -> int:
    """Return the bytes that vLLM counts for a request of ``tokens`` tokens, in all layers.

    They include blocks that are not full, ``in_flight`` tokens of a sliding layer that are not
    finished, and the layers that pad vLLM's groups: layers of different kinds share one pool of
    blocks of the same size.
    """
    if len({each.kind for each in found}) == 1:
        return sum(
            each.count * block * each.bytes * _blocks(each, tokens, in_flight, block)
            for each in found
        )
    states = max((each.bytes for each in found if each.kind == "state"), default=0)
    widest = max(each.bytes for each in found if each.kind != "state")
    # A page of attention is at least as large as a state.
    block *= max(1, -(-states // (block * widest)))
    page = block * widest
    counts = [each.count for each in found]
    size = max(counts) if max(counts) < min(counts) * 1.5 else min(counts)
    pages = sum(
        -(-each.count // size) * _blocks(each, tokens, in_flight, _tokens(each, block, page))
        for each in found
    )
    return size * page * pages


def _tokens(each: Layers, block: int, page: int) -> int:
    """Return the tokens of a page: more than a block, if narrower layers fill it evenly."""
    own = block * each.bytes
    return block * (page // own) if each.kind != "state" and page % own == 0 else block


def _blocks(each: Layers, tokens: int, in_flight: int, block: int) -> int:
    if each.kind == "state":
        return each.states
    if each.kind == "sliding":
        return -(-min(each.window - 1 + in_flight, tokens) // block) + 1
    return -(-tokens // block)


def _layers(
    model: Mapping[str, Any], counts: Counter[Kind | None], parallel: int, number: int
) -> list[Layers]:
    found = []
    if count := counts["full"]:
        found += _full(model, count, parallel, number)
    if count := counts["sliding"]:
        heads, dimension = _heads(model, parallel), _dimension(model)
        how = f"2 x {heads} heads x {dimension} x {number} bytes"
        width, window = 2 * heads * dimension * number, _window(model)
        if not window:
            raise KeyError("sliding_window")
        found.append(Layers("sliding", count, width, how, window))
    if count := counts["state"]:
        found.append(_state(model, count, parallel))
    return found


def _full(model: Mapping[str, Any], count: int, parallel: int, number: int) -> list[Layers]:
    rank = whole(model, "kv_lora_rank")
    if not rank:
        # Gemma 4 has other heads in the layers with full attention.
        heads = _heads(model, parallel, "num_global_key_value_heads")
        dimension = whole(model, "global_head_dim") or _dimension(model)
        how = f"2 x {heads} heads x {dimension} x {number} bytes"
        return [Layers("full", count, 2 * heads * dimension * number, how)]
    # Multi-head latent attention: one vector for all heads, on every GPU.
    width, index = rank + model["qk_rope_head_dim"], whole(model, "index_head_dim")
    if not index:
        return [Layers("full", count, width * number, f"{width} latent x {number} bytes")]
    latent = Layers("full", count, width * number, f"{width} latent x {number} bytes")
    if number == 1:
        latent = Layers("full", count, SPARSE_FP8, f"{SPARSE_FP8} bytes latent and scales")
    # The index of sparse attention has fp8 and a scale of 4 bytes for each 128 numbers.
    width = index + index // 128 * 4
    own = _list(model, "indexer_types").count("full") or count
    return [latent, Layers("full", own, width, f"{width} bytes index")]


def _state(model: Mapping[str, Any], count: int, parallel: int) -> Layers:
    """Return the states of linear attention or Mamba 2: of the convolution, and of the memory."""
    if "linear_num_value_heads" in model:  # gated delta net: Qwen3-Next, Qwen3.5
        keys, values = model["linear_num_key_heads"], model["linear_num_value_heads"]
        key, value = model["linear_key_head_dim"], model["linear_value_head_dim"]
        convolved = (2 * keys * key + values * value) // parallel
        kernel, dtype = model["linear_conv_kernel_dim"], model.get("mamba_ssm_dtype")
        states = STATES
        shape, number = (values // parallel, value, key), _bytes(dtype, 2)
    else:
        heads, key = model["mamba_num_heads"], model["ssm_state_size"]
        groups = model["n_groups"]
        if groups % parallel:
            groups = parallel
        convolved = (heads * model["mamba_head_dim"] + 2 * groups * key) // parallel
        kernel, dtype = model["conv_kernel"], model.get("mamba_ssm_cache_dtype")
        states = STATES + 1
        shape, number = (heads // parallel, model["mamba_head_dim"], key), _bytes(dtype, 4)
    size = convolved * (kernel - 1) * 2 + shape[0] * shape[1] * shape[2] * number
    product = " x ".join(map(str, shape))
    how = f"({product} x {number} + {convolved} x {kernel - 1} x 2 bytes)"
    return Layers("state", count, size, how, states=states)


def _heads(model: Mapping[str, Any], parallel: int, name: str = "num_key_value_heads") -> int:
    """Return the KV heads of a GPU: vLLM copies them if there are fewer than GPUs."""
    heads = (
        whole(model, name) or whole(model, "num_key_value_heads") or model["num_attention_heads"]
    )
    return max(1, heads // parallel)


def _window(model: Mapping[str, Any]) -> int:
    """Return the tokens that a sliding layer keeps; 0 if no layer slides."""
    if "sliding_window" in model:
        return whole(model, "sliding_window")
    return SLIDING.get(str(model.get("model_type")), 0)


def _dimension(model: Mapping[str, Any]) -> int:
    own = whole(model, "head_dim")
    return own or int(model["hidden_size"] // model["num_attention_heads"])


def _bytes(dtype: Any, default: int) -> int:
    return {"float32": 4, "bfloat16": 2, "float16": 2}.get(str(dtype), default)


def _list(model: Mapping[str, Any], name: str) -> list[Any]:
    value = model.get(name)
    return value if isinstance(value, list) else []
