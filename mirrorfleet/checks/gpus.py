"""GPUs that models need and their hosts do not have."""

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
    """GPUs that the host does not have, or that two models want."""
    for model, devices, holders in assign(models, host.gpus):
        key: Key = ("models", model.name, "devices" if model.devices else "tensor_parallel")
        absent = [device for device in model.devices or () if device >= host.gpus]
        if absent or (host.gpus < model.gpus):
            what = f"names GPU {absent[0]}" if absent else f"wants {model.gpus} GPUs"
            yield fleet.document.problem(
                key,
                f"{what}, and host '{host.name}' has {host.gpus}.",
                f"Correct hosts.{host.name}.gpus or choose another host.",
            )
        elif holders:
            yield fleet.document.problem(
                key,
                f"wants GPU {holders[0].device} of host '{host.name}', which "
                f"'{holders[0].model}' has.",
                "Give each model GPUs of its own.",
            )
        elif model.devices is None and len(devices) < model.gpus:
            yield fleet.document.problem(
                key,
                f"wants {model.gpus} GPUs, and the other models leave {len(devices)} of the "
                f"{host.gpus} on host '{host.name}'.",
                "Choose another host, or split it over fewer.",
            )
