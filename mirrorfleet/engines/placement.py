"""The models of each engine and host, and the GPUs of each model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from mirrorfleet.config import EngineModel, Fleet, Host
from mirrorfleet.config.engine_model import Device

M = TypeVar("M", bound=EngineModel)


class Holder(NamedTuple):
    """A GPU that is assigned to another model."""

    device: Device
    model: str


class Share(NamedTuple):
    """The GPUs of one model on a host. ``held``: its GPUs that are assigned to other models."""

    model: EngineModel
    devices: tuple[Device, ...]
    held: tuple[Holder, ...]


def models_of(fleet: Fleet, kind: type[M]) -> Iterator[M]:
    """Yield the models of one engine, in the order of the fleet file."""
    return (model for model in fleet.models.values() if isinstance(model, kind))


def by_host(fleet: Fleet, kind: type[M]) -> dict[str, list[M]]:
    """Return the models of one engine by host, in the order of the fleet file."""
    hosts: dict[str, list[M]] = {}
    for model in models_of(fleet, kind):
        for host in model.hosts:
            hosts.setdefault(host, []).append(model)
    return hosts


def assign(models: Iterable[EngineModel], gpus: int) -> list[Share]:
    """Assign GPUs to the models of a host with ``gpus`` GPUs, in the order of the models.

    Models with ``devices`` get these; then the others get the first free ones, without those of a
    server that several models share. A share with fewer devices than the model needs means that the
    host does not have enough.
    """
    models = list(models)
    holders: dict[Device, str] = {}
    for model in models:
        for gpu in model.shared_devices:
            holders.setdefault(gpu, model.name)
    shares: dict[str, Share] = {}
    for model in models:
        if model.devices is not None:
            held = tuple(Holder(gpu, holders[gpu]) for gpu in model.devices if gpu in holders)
            shares[model.name] = Share(model, model.devices, held)
            for gpu in model.devices:
                holders.setdefault(gpu, model.name)
    for model in models:
        if model.devices is None:
            free = [gpu for gpu in range(gpus) if gpu not in holders][: model.gpus]
            shares[model.name] = Share(model, tuple(free), ())
            holders.update(dict.fromkeys(free, model.name))
    return [shares[model.name] for model in models]


def sharers(models: Iterable[EngineModel], model: EngineModel) -> list[EngineModel]:
    """Return the models of a host that name one of the GPUs that ``model`` names, with itself."""
    named = set(model.devices or ())
    return [other for other in models if named.intersection(other.devices or ())]


def free(fleet: Fleet, host: Host) -> tuple[int, ...]:
    """Return the GPUs of a host that are not assigned to a model."""
    models = (model for model in models_of(fleet, EngineModel) if host.name in model.hosts)
    taken = {gpu for share in assign(models, host.gpus) for gpu in share.devices}
    return tuple(gpu for gpu in range(host.gpus) if gpu not in taken)
