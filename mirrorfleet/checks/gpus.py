"""GPUs that models need and their hosts do not have, or have assigned to another model."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import EngineModel, Fleet, Host
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.engines.placement import assign, by_host


def problems(fleet: Fleet) -> Iterator[Problem]:
    for name, models in by_host(fleet, EngineModel).items():
        host = fleet.hosts.get(name)
        if host and (host.gpus or not fleet.document.says("hosts", name, "gpus")):
            yield from _gpus(fleet, host, models)


def _gpus(fleet: Fleet, host: Host, models: list[EngineModel]) -> Iterator[Problem]:
    """Yield problems of the GPUs of one host."""
    for model, devices, holders in assign(models, host.gpus):
        key: Key = ("models", model.name, "devices" if model.devices else "tensor_parallel")
        absent = [device for device in model.devices or () if device >= host.gpus]
        if absent or (host.gpus < model.gpus):
            yield fleet.document.problem(
                key,
                f"GPU {absent[0]} does not exist: {host.name} has {host.gpus}, counted from 0."
                if absent
                else f"needs {model.gpus} GPUs, but {host.name} has {host.gpus}.",
                f"Correct hosts.{host.name}.gpus.count, or choose another host.",
            )
        elif holders:
            yield fleet.document.problem(
                key,
                f"GPU {holders[0].device} of {host.name} is assigned to '{holders[0].model}' too.",
                "Assign each GPU to one model.",
            )
        elif model.devices is None and len(devices) < model.gpus:
            yield fleet.document.problem(
                key,
                f"needs {model.gpus} GPUs, but {host.name} has {len(devices)} of {host.gpus} free.",
                "Choose another host, or fewer GPUs.",
            )
