"""Models that share GPUs and cannot: their memory has no limit, or their starts no order."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.engines.placement import by_host, sharers

UNLIMITED = "kv-cache-memory-bytes"
"""The option with which vLLM ignores its gpu_memory_utilization."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    reported = set()
    for models in by_host(fleet, VllmModel).values():
        for model in models:
            others = [other.name for other in sharers(models, model) if other is not model]
            if others and model.name not in reported:
                reported.add(model.name)
                yield from _shared(fleet, model, others[0])


def _shared(fleet: Fleet, model: VllmModel, other: str) -> Iterator[Problem]:
    if UNLIMITED in model.arguments:
        yield fleet.document.problem(
            ("models", model.name, "arguments", UNLIMITED),
            f"replaces gpu_memory_utilization, but the model shares a GPU with '{other}'.",
            "Remove it, and write gpu_memory_utilization.",
        )
    if model.nodes > 1:
        yield fleet.document.problem(
            ("models", model.name, "devices"),
            f"the model is split over {model.nodes} hosts and shares a GPU with '{other}': their "
            "nodes would wait for each other.",
            "Assign each GPU to one model.",
            given=(("models", model.name, "nodes"),),
        )
