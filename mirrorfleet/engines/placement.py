"""Which models an engine has, on which hosts, and which GPUs of a host each of them has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from mirrorfleet.config import EngineModel, Fleet, Host

M = TypeVar("M", bound=EngineModel)


class Holder(NamedTuple):
    """A GPU that another model has."""

    device: int
    model: str


class Share(NamedTuple):
    """The GPUs of one model; ``held`` are those it names and another model has."""

    model: EngineModel
    devices: tuple[int, ...]
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
    """Give every model of a host its GPUs: those that it names, or the first that are free.

    Models that name theirs choose before the others, whatever their order in the file. A share
    with fewer devices than the model needs means that the host has no more.
    """
    models = list(models)
    holders: dict[int, str] = {}
    shares: dict[str, Share] = {}
    for model in models:
        if model.devices is not None:
            held = tuple(Holder(at, holders[at]) for at in model.devices if at in holders)
            shares[model.name] = Share(model, model.devices, held)
            for at in model.devices:
                holders.setdefault(at, model.name)
    for model in models:
        if model.devices is None:
            free = [at for at in range(gpus) if at not in holders][: model.gpus]
            shares[model.name] = Share(model, tuple(free), ())
            holders.update(dict.fromkeys(free, model.name))
    return [shares[model.name] for model in models]


def free(fleet: Fleet, host: Host) -> tuple[int, ...]:
    """Return the GPUs of a host that are for no model alone."""
    here = (model for model in models_of(fleet, EngineModel) if host.name in model.hosts)
    taken = {at for share in assign(here, host.gpus) for at in share.devices}
    return tuple(at for at in range(host.gpus) if at not in taken)
