"""Notices about context windows, where the controller has config.json and the GPUs' memory."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.engines.vllm import model_config, window_use
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan


def notices(fleet: Fleet, plan: HostPlan) -> Iterator[str]:
    """Yield a notice for each engine of a host whose window wastes its GPUs, or overruns them."""
    memory = fleet.hosts[plan.name].gpu_memory
    for engine in plan.engines_of(VllmPlan):
        if memory and engine.is_head and engine.build == "cuda":
            config = model_config.read_on_controller(engine.weights)
            weights = model_config.weights_on_controller(engine.weights)
            if found := window_use.notice(
                engine.model, engine, engine.concurrency, config, weights, memory
            ):
                yield found
