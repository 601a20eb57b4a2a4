"""A proposal as text of 80 columns, as JSON, and as YAML for the fleet file."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import yaml

from mirrorfleet.engines.vllm import kv_cache
from mirrorfleet.engines.vllm.memory import Room, batched_tokens, gib
from mirrorfleet.engines.vllm.model_config import whole
from mirrorfleet.engines.vllm.sizing import Gpus, Option, Proposal, Split, TooLarge
from mirrorfleet.jobs.sizing.source import Source

WIDTH = 80


def entry(found: Source, proposal: Proposal, place: dict[str, Any], version: str) -> dict[str, Any]:
    """Return the model for the fleet file, by its name; ``place`` are its hosts and port."""
    split = proposal.chosen.split
    keys = {
        "engine": "vllm",
        "version": version,
        **found.keys,
        **place,
        "context": split.context,
        "output": proposal.output,
        "tensor_parallel": split.tensor_parallel,
    }
    if split.kv_cache_dtype:
        keys["kv_cache_dtype"] = split.kv_cache_dtype
    keys |= {"concurrency": proposal.concurrency, "api_key": {"env": "ENGINE_KEY"}}
    return {found.name: keys}


def as_yaml(models: dict[str, Any]) -> str:
    """Return models as a section of the fleet file."""
    text: str = yaml.safe_dump(
        {"models": models}, sort_keys=False, default_flow_style=None, width=WIDTH
    )
    return text


def as_json(found: Source, proposal: Proposal, gpus: Gpus, models: dict[str, Any]) -> Any:
    """Return the proposal as plain data; sizes are in bytes."""
    return {
        "model": found.title,
        "gpus": {"count": gpus.count, "memory": gpus.memory},
        "weights": {"bytes": found.weights.bytes, "how": found.weights.how},
        "proposal": _option(proposal.chosen),
        "output": proposal.output,
        "concurrency": proposal.concurrency,
        "others": [_option(option) for option in proposal.others],
        "notes": [*notes(found, proposal)],
        "models": models,
    }


def _option(option: Option) -> dict[str, Any]:
    split, room = option.split, option.room
    return {
        "tensor_parallel": split.tensor_parallel,
        "context": split.context,
        "kv_cache_dtype": split.kv_cache_dtype or "auto",
        "full_windows": round(room.windows, 2),
        "per_gpu": {
            "memory": room.memory,
            "budget": room.budget,
            "weights": room.weights,
            "activations": room.activations,
            "sampler": room.sampler,
            "buffers": room.buffers,
            "kv_cache": room.cache,
            "window": room.window,
            "token": kv_cache.bytes_per_token(room.layers),
        },
        "layers": [
            {
                "kind": each.kind,
                "count": each.count,
                "bytes": each.bytes,
                "how": each.how,
                **({"window": each.window} if each.window else {}),
            }
            for each in room.layers
        ],
    }


def lines(found: Source, proposal: Proposal, gpus: Gpus) -> Iterator[str]:
    """Yield the proposal with its arithmetic."""
    chosen = proposal.chosen
    split = chosen.split
    yield f"{found.title} on {_gpus(gpus)}"
    yield ""
    yield f"  tensor_parallel   {split.tensor_parallel}{_idle(split, gpus)}"
    yield f"  context           {split.context} tokens"
    yield f"  output            {proposal.output} tokens"
    yield f"  kv_cache_dtype    {split.kv_cache_dtype or 'auto'}"
    yield f"  full windows      {chosen.room.windows:.1f} at the same time"
    yield ""
    yield from arithmetic(found, chosen)
    if proposal.others:
        yield ""
        yield "The same window on other numbers of GPUs:"
        yield ""
        yield "  tensor_parallel   weights of each   KV cache of each   full windows"
        for option in proposal.others:
            room = option.room
            yield (
                f"  {option.split.tensor_parallel:<15}   {gib(room.weights):>15}   "
                f"{gib(max(0, room.cache)):>16}   {room.windows:>12.1f}"
            )
    yield ""
    for note in notes(found, proposal):
        yield from wrap(f"{_capital(note)}.", WIDTH, break_long_words=False)


def arithmetic(found: Source, option: Option) -> Iterator[str]:
    """Yield the sum for each GPU, and the KV cache of a token and a window."""
    room, split = option.room, option.split
    count = split.tensor_parallel * split.pipeline_parallel
    tokens = batched_tokens(split, room.memory)
    words = whole(found.model.config, "vocab_size")
    yield "Memory of each GPU:"
    yield ""
    yield _row("GPU memory", gib(room.memory), "")
    share = split.gpu_memory_utilization
    yield _row(f"x {share:g}", gib(room.budget), "gpu_memory_utilization")
    yield _row("- weights", gib(room.weights), f"{gib(found.weights.bytes)} / {count}")
    yield _row("- activations", gib(room.activations), f"estimate, {tokens} tokens a batch")
    yield _row("- sampler", gib(room.sampler), f"estimate, {words} words")
    yield _row("- CUDA, graphs, NCCL", gib(room.buffers), "estimate")
    yield _row("= KV cache", gib(room.cache), "")
    yield ""
    yield from _cache(room, split)


def _cache(room: Room, split: Split) -> Iterator[str]:
    yield "KV cache on each GPU:"
    yield ""
    for each in room.layers:
        kept = {
            "full": "a token",
            "sliding": f"a token, {each.window} kept",
            "state": f"a state, {each.states} for a request",
        }
        yield f"  {each.count} layers x {each.how}"
        yield f"      = {_kib(each.count * each.bytes)} {kept[each.kind]}"
    yield f"  one full window of {split.context} tokens: {gib(room.window)}"
    yield f"  full windows: {gib(room.cache)} / {gib(room.window)} = {room.windows:.1f}"


def notes(found: Source, proposal: Proposal) -> Iterator[str]:
    """Yield what the proposal rests on, as sentences without a full stop."""
    split = proposal.chosen.split
    yield f"weights: {gib(found.weights.bytes)} ({found.weights.how})"
    yield from found.model.assumes
    yield from proposal.reasons
    heads = whole(found.model.config, "num_key_value_heads")
    if not whole(found.model.config, "kv_lora_rank") and 0 < heads < split.tensor_parallel:
        yield (
            f"the {heads} KV heads are copied to {split.tensor_parallel} GPUs: more GPUs do not "
            "make the KV cache of each one smaller"
        )
    if "family" not in found.keys and "tool_parser" not in found.keys:
        yield (
            "the family of this model is unknown: add 'family' or 'tool_parser' to the YAML, see "
            "`mirrorfleet docs models`"
        )
    yield (
        "the estimates were not measured on a GPU: vLLM measures at each start. 'concurrency' "
        "demands four fifths of the full windows"
    )


def too_large(found: Source, result: TooLarge, gpus: Gpus) -> Iterator[str]:
    """Yield why a model does not fit, and the GPUs that it needs."""
    yield f"{found.title} does not fit on {_gpus(gpus)}."
    if result.best is not None:
        yield ""
        yield from arithmetic(found, result.best)
        yield ""
    else:
        yield "config.json allows no split over these GPUs."
    if result.needed is None:
        yield "No number of these GPUs holds a window: use GPUs with more memory."
        return
    needed = result.needed
    text = (
        f"It needs {result.gpus} of these GPUs for one window of {needed.context} tokens: "
        f"tensor_parallel {needed.tensor_parallel}"
    )
    if needed.pipeline_parallel > 1:
        text += f", pipeline_parallel {needed.pipeline_parallel} on several hosts (`nodes`)"
    text += ". Or take a quantized version of the model"
    if result.window:
        text += f", or write `--context {result.window}`: this window fits"
    yield from wrap(f"{text}.", WIDTH, break_long_words=False)


def _row(what: str, value: str, why: str) -> str:
    return f"  {what:<22}{value:>12}   {why}".rstrip()


def _gpus(gpus: Gpus) -> str:
    return f"{gpus.count} GPU{'' if gpus.count == 1 else 's'} of {gib(gpus.memory)}"


def _idle(split: Split, gpus: Gpus) -> str:
    idle = gpus.count - split.tensor_parallel
    return f" (of {gpus.count} GPUs; {idle} are free for other models)" if idle else ""


def _kib(count: int) -> str:
    return f"{count / 1024:.1f} KiB" if count < 1024**2 else f"{count / 1024**2:.1f} MiB"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
