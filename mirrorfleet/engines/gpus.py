"""Which GPUs of a host each of its models has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mirrorfleet.config import Fleet, VllmModel


class Holder(NamedTuple):
    """A GPU that another model has."""

    device: int
    model: str


class Share(NamedTuple):
    """The GPUs of one model; ``held`` are those it names and another model has."""

    model: VllmModel
    devices: tuple[int, ...]
    held: tuple[Holder, ...]


def placed(fleet: Fleet) -> dict[str, list[VllmModel]]:
    """Return the models that vLLM serves, by host, in the order of the fleet file."""
    hosts: dict[str, list[VllmModel]] = {}
    for model in fleet.models.values():
        if isinstance(model, VllmModel):
            for host in model.hosts:
                hosts.setdefault(host, []).append(model)
    return hosts


def assign(models: Iterable[VllmModel], gpus: int) -> list[Share]:
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
