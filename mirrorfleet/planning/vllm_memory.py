"""Notices about context windows, where the controller has config.json and the GPUs' memory."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.engines.vllm import model_config
from mirrorfleet.planning.vllm import VllmPlan


def notices(fleet: Fleet, host: str, engine: object) -> Iterator[str]:
    """Yield why the window of an engine wastes the GPUs of its host, or overruns them."""
    memory = fleet.hosts[host].gpu_memory
    if not (isinstance(engine, VllmPlan) and memory and engine.is_head and engine.build == "cuda"):
        return
    from mirrorfleet.engines.vllm import window_use  # all of sizing, for `show --values`

    config = model_config.read_on_controller(engine.weights)
    weights = model_config.weights_on_controller(engine.weights)
    if found := window_use.notice(
        engine.model, engine, engine.concurrency, config, weights, memory
    ):
        yield found
