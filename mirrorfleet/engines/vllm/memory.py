"""Pure: the GPU memory of a vLLM engine: weights, KV cache, and what vLLM needs besides.

One arithmetic for `mirrorfleet size`, for the checks of a fleet file, and for the checks of a host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mirrorfleet.engines.vllm import kv_cache
from mirrorfleet.engines.vllm.model_config import read, whole

GIB = 1024**3

SLACK = 1.05
"""If a model exceeds the GPU memory by less than this factor, that is a warning, not an error: its
files may have layers that vLLM does not load, such as those for speculative decoding."""

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

CONTEXT = GIB
"""Bytes for the CUDA context, the kernels and the CUDA graphs' own data, on each GPU."""

NCCL = GIB // 2
"""Bytes for the buffers between GPUs, on each GPU that shares a model."""

GRAPHS = GIB
"""Bytes for CUDA graphs."""


class Serving(Protocol):
    """How a model is served: the keys that decide its memory, as in the fleet file."""

    @property
    def tensor_parallel(self) -> int: ...
    @property
    def pipeline_parallel(self) -> int: ...
    @property
    def context(self) -> int: ...
    @property
    def gpu_memory_utilization(self) -> float: ...
    @property
    def dtype(self) -> str | None: ...
    @property
    def quantization(self) -> str | None: ...
    @property
    def kv_cache_dtype(self) -> str | None: ...
    @property
    def arguments(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Need:
    """Bytes on each GPU; ``how`` explains the sum in messages."""

    bytes: float
    how: str


@dataclass(frozen=True)
class Overrun:
    """A model that does not fit its GPUs, for use after its name or key.

    ``is_certain``: it exceeds the memory so far that vLLM cannot start.
    """

    mistake: str
    remedy: str
    is_certain: bool


@dataclass(frozen=True)
class Room:
    """The memory of each GPU in bytes, and what of it is for what.

    ``window`` is the KV cache of one request with a full context window.
    """

    memory: int
    budget: int
    weights: int
    activations: int
    sampler: int
    buffers: int
    window: int
    layers: tuple[kv_cache.Layers, ...]

    @property
    def cache(self) -> int:
        """Return the bytes that are left for the KV cache; negative if nothing is."""
        return self.budget - self.weights - self.activations - self.sampler - self.buffers

    @property
    def windows(self) -> float:
        """Return how many full windows fit into the KV cache."""
        return max(0.0, self.cache / self.window)


def need(serving: Serving, config: bytes, weights: int) -> Need | None:
    """Return the least memory that an engine needs on each GPU, ``None`` if it cannot be estimated.

    It is the weights and the KV cache of one request with a full context, without activations and
    CUDA graphs. Unknown parts of a model count as 0, so a result far above the memory is certain.
    ``config`` is the model's config.json, ``weights`` the bytes of its files.
    """
    model = read(config)
    loaded = _loaded(serving, model, weights)
    if loaded is None:
        return None
    split = serving.tensor_parallel * serving.pipeline_parallel
    how = f"weights {gib(loaded / split)}"
    if split > 1:
        how += f" ({gib(loaded)} / {split})"
    number = bytes_per_number(serving, model)
    layers = number and kv_cache.layers(model, serving.tensor_parallel, number)
    if not layers:
        return Need(loaded / split, f"{how}, KV cache not estimated")
    window = kv_cache.least(layers, serving.context) / serving.pipeline_parallel
    products = " and ".join(dict.fromkeys(each.how for each in layers))
    how += f" + one window {gib(window)} ({products}, for {serving.context} tokens)"
    return Need(loaded / split + window, how)


def overrun(serving: Serving, config: bytes, weights: int, memory: int) -> Overrun | None:
    """Return by how much an engine exceeds GPUs with ``memory`` bytes; ``None`` if it may fit."""
    needs, share = need(serving, config, weights), serving.gpu_memory_utilization
    budget = memory * share
    if needs is None or needs.bytes <= budget:
        return None
    return Overrun(
        f"needs at least {gib(needs.bytes)} on each GPU: {needs.how}. A GPU has {gib(memory)} x "
        f"{share} = {gib(budget)}.",
        "Split it over more GPUs, set a smaller context, or set kv_cache_dtype: fp8.",
        needs.bytes > budget * SLACK,
    )


def room(
    serving: Serving,
    model: Mapping[str, Any],
    weights: int,
    memory: int,
    layers: Sequence[kv_cache.Layers] | None = None,
) -> Room | None:
    """Return how the memory of each GPU is used; ``None`` if it cannot be estimated.

    ``memory`` are the bytes of one GPU, as nvidia-smi reports them. ``layers`` replace those that
    config.json shows.
    """
    loaded, number = _loaded(serving, model, weights), bytes_per_number(serving, model)
    if loaded is None or number is None:
        return None
    layers = layers or kv_cache.layers(model, serving.tensor_parallel, number)
    if not layers:
        return None
    tokens = batched_tokens(serving, memory)
    share = serving.pipeline_parallel
    split = serving.tensor_parallel * share
    return Room(
        memory=memory,
        budget=int(memory * serving.gpu_memory_utilization),
        weights=loaded // split,
        activations=_activations(model, tokens, serving.tensor_parallel),
        sampler=_sampler(model, memory),
        buffers=CONTEXT + GRAPHS + (NCCL if split > 1 else 0),
        # Two batches are in flight: vLLM schedules the next one while the GPU works.
        window=max(1, kv_cache.reserved(layers, serving.context, 2 * tokens) // share),
        layers=tuple(layers),
    )


def batched_tokens(serving: Serving, memory: int) -> int:
    """Return the tokens of a batch: vLLM's default depends on the memory of a GPU."""
    own = serving.arguments.get("max-num-batched-tokens")
    if isinstance(own, int) and own > 0:
        return own
    return 16384 if memory >= 160 * GIB else 8192 if memory >= 70 * GIB else 2048


def bytes_per_number(serving: Serving, model: Mapping[str, Any]) -> int | None:
    """Return the bytes of a number in the KV cache; ``None`` for a type that is not known here."""
    kind = serving.kv_cache_dtype or "auto"
    if kind.startswith(("fp8", "int8")):
        return 1
    if kind != "auto":
        return SIZES.get(kind)
    quantized = model.get("quantization_config")
    if isinstance(quantized, dict) and quantized.get("kv_cache_scheme"):
        return 1
    dtype = serving.dtype if serving.dtype not in (None, "auto") else None
    # Without a dtype, vLLM converts float32 to 16 bits.
    return SIZES.get(dtype) if dtype else 2


def gib(count: float) -> str:
    """Return a number of bytes for messages."""
    return f"{count / GIB:.1f} GiB"


def _loaded(serving: Serving, model: Mapping[str, Any], weights: int) -> int | None:
    """Return the bytes of the weights on all GPUs together, ``None`` if they are unknown."""
    if not model or any(name in serving.arguments for name in ELSEWHERE):
        return None
    if serving.quantization and "quantization_config" not in model:
        return None  # loading makes the weights smaller
    stored = str(model.get("torch_dtype") or model.get("dtype") or "").removeprefix("torch.")
    if stored == "float32" and serving.dtype not in ("float32", "float"):
        return weights // 2  # vLLM converts them to 16 bits while loading
    return weights


def _activations(model: Mapping[str, Any], tokens: int, parallel: int) -> int:
    """Estimate the bytes of the values between layers, for one batch of 16-bit numbers."""
    hidden = whole(model, "hidden_size")
    wide = 3 * whole(model, "intermediate_size") // parallel
    if chosen := whole(model, "num_experts_per_tok"):
        narrow = whole(model, "moe_intermediate_size") or whole(model, "intermediate_size")
        wide = chosen * (hidden + 3 * narrow // parallel)
    return tokens * 2 * (6 * hidden + wide)


def _sampler(model: Mapping[str, Any], memory: int) -> int:
    """Estimate the bytes for choosing tokens: 10 bytes a word, for vLLM's most requests."""
    requests = 1024 if memory >= 70 * GIB else 256
    return requests * 10 * whole(model, "vocab_size")
