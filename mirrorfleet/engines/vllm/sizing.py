"""Pure: propose how vLLM serves a model on given GPUs, with the arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mirrorfleet.config import schema
from mirrorfleet.engines.vllm import kv_cache
from mirrorfleet.engines.vllm.memory import Room, bytes_per_number, room
from mirrorfleet.engines.vllm.model_config import indivisible_heads, trained_window, whole

WINDOWS = 2
"""Full windows that a proposal has room for, unless somebody asks for another number."""

LEAST = 32768
"""Least tokens of a proposed window: Claude Code's first prompt alone has 23,300."""

LONGEST_ANSWER = 32768

STEP = 1024
"""Tokens between two windows that are tried."""

MOST = 1024
"""Most GPUs to consider."""

TRAINED = {"gemma3": 131072, "gemma3_text": 131072}
"""Trained windows of model types whose config.json does not have them."""

ASSUMED = 131072
"""Window of a model whose config.json has none."""

UTILIZATION: float = schema.definition("vllmModel")["properties"]["gpu_memory_utilization"][
    "default"
]
"""Share of the GPU memory that an engine uses."""

SAFETY = 0.8
"""Share of the full windows that `concurrency` demands: what vLLM needs besides is an estimate."""


@dataclass(frozen=True)
class Gpus:
    """``count`` GPUs of one host, each with ``memory`` bytes."""

    count: int
    memory: int


@dataclass(frozen=True)
class Split:
    """One way to serve a model: see ``memory.Serving``."""

    tensor_parallel: int
    context: int
    kv_cache_dtype: str | None = None
    pipeline_parallel: int = 1
    gpu_memory_utilization: float = UTILIZATION
    dtype: str | None = None
    quantization: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A model: its config.json, and the bytes of its weights. ``assumes``: what is not known."""

    config: Mapping[str, Any]
    weights: int
    assumes: tuple[str, ...] = ()

    @property
    def trained(self) -> int:
        """Return the largest context window, in tokens."""
        known = TRAINED.get(str(self.config.get("model_type")), ASSUMED)
        return trained_window(self.config) or known

    def room(self, split: Split, memory: int) -> Room | None:
        """Return how GPUs with ``memory`` bytes are used."""
        number = bytes_per_number(split, self.config)
        layers = None
        if number and not kv_cache.layers(self.config, split.tensor_parallel, number):
            layers = kv_cache.assumed(self.config, split.tensor_parallel, number)
        return room(split, self.config, self.weights, memory, layers)


@dataclass(frozen=True)
class Option:
    """A split with the room that it leaves."""

    split: Split
    room: Room


@dataclass(frozen=True)
class Proposal:
    """The chosen option, and the others with the same window.

    ``reasons`` say why the window or the KV cache type is not the model's own.
    """

    chosen: Option
    others: tuple[Option, ...]
    reasons: tuple[str, ...]

    @property
    def context(self) -> int:
        return self.chosen.split.context

    @property
    def output(self) -> int:
        """Return the longest answer: an eighth of the window."""
        return min(LONGEST_ANSWER, max(1024, self.context // 8 // STEP * STEP))

    @property
    def concurrency(self) -> int:
        """Return the full windows to demand of the KV cache at each start."""
        return max(1, int(self.chosen.room.windows * SAFETY))


@dataclass(frozen=True)
class TooLarge:
    """A model that does not fit. ``best`` is the split with the most room, and ``window`` the
    longest window that fits once, if the one that was asked for does not.

    ``gpus`` of the same memory would suffice, as ``tensor_parallel`` x ``pipeline_parallel``;
    ``None`` if no number up to ``MOST`` does.
    """

    best: Option | None
    needed: Split | None
    window: int | None = None

    @property
    def gpus(self) -> int | None:
        if self.needed is None:
            return None
        return self.needed.tensor_parallel * self.needed.pipeline_parallel


def assumptions(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a proposal assumes because config.json does not say it, as sentences."""
    known = str(config.get("model_type")) in TRAINED
    if not trained_window(config) and not known:
        yield f"config.json has no trained window: {ASSUMED} tokens are assumed"
    if not kv_cache.layers(config, 1, 2):
        name = config.get("model_type") or "without model_type"
        yield (
            f"the layers of this architecture ({name}) are not known: the KV cache is counted as "
            "if each had full attention, which is an upper bound"
        )


def splits(config: Mapping[str, Any], most: int) -> Iterator[int]:
    """Yield each tensor_parallel up to ``most`` that vLLM accepts for a model."""
    heads = [
        value
        for name in ("linear_num_key_heads", "linear_num_value_heads", "mamba_num_heads")
        if (value := whole(config, name))
    ]
    widths, size = _widths(config), _group(config)
    for count in range(1, min(most, MOST) + 1):
        even = not any(indivisible_heads(config, count)) and not any(n % count for n in heads)
        if even and all(width % (count * size) == 0 for width in widths if size):
            yield count


def _widths(config: Mapping[str, Any]) -> list[int]:
    """Return the widths that GPUs share, of experts and other feed-forward layers."""
    names = ("moe_intermediate_size", "shared_expert_intermediate_size")
    widths = [value for name in names if (value := whole(config, name))]
    return widths or [value for name in ("intermediate_size",) if (value := whole(config, name))]


def _group(config: Mapping[str, Any]) -> int:
    """Return the numbers that share a scale: the share of a GPU must be a multiple of it."""
    quantized = config.get("quantization_config")
    if not isinstance(quantized, dict):
        return 0
    block = quantized.get("weight_block_size")
    if isinstance(block, list) and block and isinstance(block[0], int):
        return max(block[0], 0)
    return whole(quantized, "group_size")


def propose(
    model: Model,
    gpus: Gpus,
    *,
    context: int | None = None,
    windows: int = WINDOWS,
    kv_cache_dtype: str | None = None,
    gpu_memory_utilization: float = UTILIZATION,
) -> Proposal | TooLarge:
    """Propose the fewest GPUs that hold ``windows`` full windows of the model's own length.

    If all GPUs do not hold them, the KV cache gets fp8, and then the window gets shorter.
    ``context`` and ``kv_cache_dtype`` are fixed if they are given.
    """
    window = context or model.trained
    first = Split(1, window, kv_cache_dtype, gpu_memory_utilization=gpu_memory_utilization)
    narrow = [replace(first, kv_cache_dtype="fp8")] if _can_narrow(model, first) else []
    counts = [*splits(model.config, gpus.count)]
    every: list[Option] = []
    for start in (first, *narrow):
        options = [*_options(model, start, counts, gpus.memory)]
        every += options
        for chosen in options:
            if chosen.room.windows >= windows:
                others = tuple(option for option in options if option != chosen)
                return Proposal(chosen, others, _reasons(chosen, first, every))
    if not every:
        return TooLarge(None, None)
    best = max(every, key=lambda option: option.room.cache / option.room.window)
    for requested in dict.fromkeys((windows, 1)):
        chosen = best if context else longest(model, best.split, requested, gpus.memory) or best
        if chosen.room.windows >= requested:
            options = [*_options(model, chosen.split, counts, gpus.memory)]
            return Proposal(
                chosen,
                tuple(option for option in options if option != chosen),
                _reasons(chosen, first, every),
            )
    shorter = longest(model, best.split, 1, gpus.memory) if context else None
    fits = shorter.split.context if shorter else None
    return TooLarge(best, _enough(model, first, gpus), fits)


def _can_narrow(model: Model, split: Split) -> bool:
    return split.kv_cache_dtype is None and bytes_per_number(split, model.config) == 2


def _options(model: Model, split: Split, counts: list[int], memory: int) -> Iterator[Option]:
    for count in counts:
        tried = replace(split, tensor_parallel=count)
        if found := model.room(tried, memory):
            yield Option(tried, found)


def longest(
    model: Model, split: Split, windows: int, memory: int, least: int = LEAST
) -> Option | None:
    """Return the longest window of which ``windows`` fit, in steps of 1024 tokens.

    It has at least ``least`` and at most ``split.context`` tokens; ``None`` if there is none.
    """
    low, high = least // STEP - 1, split.context // STEP
    found = None
    while low < high:
        middle = (low + high + 1) // 2
        shorter = replace(split, context=middle * STEP)
        tried = model.room(shorter, memory)
        if tried and tried.windows >= windows:
            found, low = Option(shorter, tried), middle
        else:
            high = middle - 1
    return found


def _reasons(chosen: Option, first: Split, tried: list[Option]) -> tuple[str, ...]:
    """Return why the proposal differs from the model's own window and KV cache."""
    reasons = []
    same = [option for option in tried if option.split.context == first.context]
    if chosen.split.kv_cache_dtype != first.kv_cache_dtype:
        own = [o.room.windows for o in same if o.split.kv_cache_dtype == first.kv_cache_dtype]
        reasons.append(
            f"fp8 halves the KV cache: without it, {max(own):.1f} windows of {first.context} "
            "tokens fit. It needs GPUs of compute capability 8.9 or newer"
        )
    if chosen.split.context != first.context:
        most = max(option.room.windows for option in same)
        reasons.append(
            f"the window is shorter than the model's {first.context} tokens, of which {most:.1f} "
            "windows fit"
        )
    return tuple(reasons)


def _enough(model: Model, first: Split, gpus: Gpus) -> Split | None:
    """Return the fewest GPUs of the same memory that hold one window of ``LEAST`` tokens."""
    least = replace(first, context=min(first.context, LEAST))
    within = [*splits(model.config, gpus.count)]
    for count in range(gpus.count + 1, MOST + 1):
        beside = [n for n in splits(model.config, count) if n == count]
        staged = [n for n in within if count % n == 0 and n == max(within)]
        for parallel in (*beside, *staged):
            split = replace(least, tensor_parallel=parallel, pipeline_parallel=count // parallel)
            found = model.room(split, gpus.memory)
            if found and found.windows >= 1:
                return split
    return None
