"""Models that exceed the memory of their GPUs, where the controller has what decides it."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.engines.placement import models_of
from mirrorfleet.engines.vllm import model_config


def problems(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem if weights and one full window need more than `hosts.<host>.gpus.memory`.

    The host checks it too, with the memory that nvidia-smi reports.
    """
    for model in models_of(fleet, VllmModel):
        hosts = [fleet.hosts[name] for name in model.hosts if name in fleet.hosts]
        known = [(host.gpu_memory, host.name) for host in hosts if host.gpu_memory]
        if model.build != "cuda" or not known:
            continue
        from mirrorfleet.engines.vllm.memory import overrun  # of few models it is known

        memory, host = min(known)
        config = model_config.read_on_controller(model.weights)
        weights = model_config.weights_on_controller(model.weights)
        if found := overrun(model, config, weights, memory):
            key: Key = ("models", model.name, "context")
            report = fleet.document.problem if found.is_certain else fleet.document.warning
            given: Key = ("hosts", host, "gpus", "memory")
            mistake = f"is {model.context}: the model {found.mistake}"
            yield report(key, mistake, found.remedy, given=(given,))
