"""GPUs that models need and their hosts do not have, or have assigned to another model."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import EngineModel, Fleet, Host
from mirrorfleet.config.engine_model import device_name
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.engines.placement import Holder, assign, by_host, models_of, sharers

LARGEST = 0.95
"""Most of a GPU's memory that the shares of several models may add up to.

vLLM starts only if its share of the total is free. The rest of the GPU holds what no share counts:
the driver's own part, and CUDA graphs larger than vLLM's estimate of them.
"""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, EngineModel):
        yield from _kinds(fleet, model)
    for name, models in by_host(fleet, EngineModel).items():
        host = fleet.hosts.get(name)
        if host and (host.gpus or not fleet.document.says("hosts", name, "gpus")):
            yield from _gpus(fleet, host, models)


def _kinds(fleet: Fleet, model: EngineModel) -> Iterator[Problem]:
    """Yield lists of devices that CUDA does not accept."""
    key: Key = ("models", model.name, "devices")
    uuids = [device for device in model.devices or () if isinstance(device, str)]
    if uuids and len(uuids) < len(model.devices or ()):
        yield fleet.document.problem(
            key, "mixes indices and UUIDs, which CUDA does not accept.", "Write one kind only."
        )
    elif uuids and len(model.hosts) > 1:
        yield fleet.document.problem(
            key,
            f"has UUIDs, but the model has {len(model.hosts)} hosts, and a UUID exists on one "
            "host only.",
            "Write indices, or a model for each host.",
            given=(("models", model.name, "hosts"),),
        )
    elif len(uuids) > 1 and any(device.startswith("MIG-") for device in uuids):
        yield fleet.document.problem(
            key,
            f"names {len(uuids)} devices, but a process can use one MIG slice only.",
            "Name one slice and write tensor_parallel: 1, or name whole GPUs.",
        )


def _gpus(fleet: Fleet, host: Host, models: list[EngineModel]) -> Iterator[Problem]:
    """Yield problems of the GPUs of one host."""
    for model, devices, holders in assign(models, host.gpus):
        key: Key = ("models", model.name, "devices" if model.devices else "tensor_parallel")
        numbers = [device for device in model.devices or () if isinstance(device, int)]
        absent = [device for device in numbers if device >= host.gpus]
        if absent or (host.gpus < model.gpus):
            yield fleet.document.problem(
                key,
                f"GPU {absent[0]} does not exist: {host.name} has {host.gpus}, counted from 0."
                if absent
                else f"needs {model.gpus} GPUs, but {host.name} has {host.gpus}.",
                f"Correct hosts.{host.name}.gpus.count, or choose another host.",
            )
        elif holders:
            yield from _shared(fleet, host, sharers(models, model), model, holders[0])
        elif model.devices is None and host.gpus and (named := _by_uuid(models)):
            yield from _unknown(fleet, host, model, named)
        elif model.devices is None and len(devices) < model.gpus:
            yield fleet.document.problem(
                key,
                f"needs {model.gpus} GPUs, but {host.name} has {len(devices)} of {host.gpus} free.",
                "Choose another host, or fewer GPUs.",
            )


def _shared(
    fleet: Fleet, host: Host, models: list[EngineModel], model: EngineModel, holder: Holder
) -> Iterator[Problem]:
    """Yield a problem, once for each GPU, if the models that name it do not fit together."""
    key: Key = ("models", model.name, "devices")
    models = [each for each in models if holder.device in (each.devices or ())]
    shares = {each.name: each.gpu_share for each in models if each.gpu_share is not None}
    if len(shares) < len(models) or holder.model not in shares:
        yield fleet.document.problem(
            key,
            f"{device_name(holder.device)} of {host.name} is assigned to '{holder.model}' too.",
            "Assign each GPU to one model.",
        )
    elif model is models[-1] and round(sum(shares.values()), 6) > LARGEST:
        total = sum(shares.values())
        parts = " + ".join(f"{share} of '{name}'" for name, share in shares.items())
        yield fleet.document.problem(
            key,
            f"{device_name(holder.device)} of {host.name} is assigned to '{holder.model}' too, and "
            f"their gpu_memory_utilization adds up to {total:.2f} ({parts}); the maximum is "
            f"{LARGEST}.",
            f"Write gpu_memory_utilization: {int(100 * LARGEST / len(shares)) / 100} for each, or "
            "assign each GPU to one model.",
            given=tuple(("models", name, "gpu_memory_utilization") for name in shares),
        )


def _by_uuid(models: list[EngineModel]) -> str:
    """Return the first model that names its GPUs by UUID; empty if none does."""
    named = (each.name for each in models if any(isinstance(at, str) for at in each.devices or ()))
    return next(named, "")


def _unknown(fleet: Fleet, host: Host, model: EngineModel, named: str) -> Iterator[Problem]:
    """Yield a problem of a model that gets free GPUs, beside one whose indices are unknown."""
    if model.gpus:
        yield fleet.document.problem(
            ("models", model.name),
            f"has no 'devices', but '{named}' names its GPUs of {host.name} by UUID, so it is "
            "unknown which ones are free.",
            "Write 'devices' for it, too.",
            given=(("models", model.name, "devices"), ("models", named, "devices")),
        )
    elif model.takes_free_gpus:
        yield fleet.document.problem(
            ("models", named, "devices"),
            f"has UUIDs, but '{model.name}' gets the GPUs of {host.name} that no other model has, "
            "and these must be known by index.",
            "Write indices.",
        )
