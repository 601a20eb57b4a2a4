"""The GPUs of engines on their host: those that the fleet file names by index or UUID."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mirrorfleet.config.engine_model import Device, device_name
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm.facts import NamedDevice, NamedDevices
from mirrorfleet.runtime.facts import Gpus
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error, warning


@dataclass(frozen=True)
class Card:
    """A GPU, or a slice of it: the index of the GPU, and the memory in bytes (0: unknown)."""

    gpu: int
    memory: int


def has_uuids(plan: HostPlan) -> bool:
    """Return whether an engine of a host names its GPUs by UUID."""
    return any(
        isinstance(device, str) for engine in plan.engines_of(VllmPlan) for device in engine.devices
    )


def cards(engine: VllmPlan, observed: Observation) -> list[Card]:
    """Return the GPUs of an engine that the host has, in the order of the plan."""
    gpus = observed[Gpus()].gpus
    names = {each.uuid: each for each in _names(engine, observed)}
    found = []
    for device in engine.devices:
        if isinstance(device, str) and device in names:
            named = names[device]
            memory = gpus[named.gpu].memory if named.gpu < len(gpus) else 0
            found.append(Card(named.gpu, memory if named.slice is None else named.memory))
        elif isinstance(device, int) and device < len(gpus):
            found.append(Card(device, gpus[device].memory))
    return found


def absent(engine: VllmPlan, observed: Observation) -> list[Device]:
    """Return the devices of an engine that the host does not have."""
    count = len(observed[Gpus()].gpus)
    names = {each.uuid for each in _names(engine, observed)}
    return [
        device
        for device in engine.devices
        if (device not in names if isinstance(device, str) else device >= count)
    ]


def problems(plan: HostPlan, engine: VllmPlan, observed: Observation) -> Iterator[Problem]:
    """Yield why an engine cannot use a GPU of a host whose engines name GPUs by UUID."""
    if not has_uuids(plan):
        return
    listed = observed[NamedDevices()]
    yield from _held(plan, engine, listed)
    gpus = {each.gpu for each in listed if each.slice is None}
    divided = {each.gpu: each.uuid for each in listed if each.slice is not None}
    for device in engine.devices:
        named = _found(device, listed)
        if named is None:
            continue
        if named.slice is None and named.gpu in divided:
            yield error(
                f"'{engine.model}' needs {device_name(device)}, which is divided into MIG slices.",
                f"Write a slice, as {divided[named.gpu]}, or disable MIG: nvidia-smi -i "
                f"{named.gpu} -mig 0.",
            )
        elif named.slice is not None and named.slice not in gpus:
            yield warning(
                f"'{engine.model}' uses MIG slice {named.slice} of GPU {named.gpu}: vLLM "
                f"{engine.version} looks up its properties as those of GPU {named.slice}, which "
                "does not exist, and may not start.",
                "Name a slice with a lower number.",
            )


def _held(plan: HostPlan, engine: VllmPlan, listed: Sequence[NamedDevice]) -> Iterator[Problem]:
    """Yield a GPU that an earlier engine names in another way: by its index, or by its UUID."""
    others: dict[NamedDevice, tuple[str, Device]] = {}
    for each in plan.engines_of(VllmPlan):
        if each is engine or each.model == engine.model:
            break
        for device in each.devices:
            if named := _found(device, listed):
                others.setdefault(named, (each.model, device))
    for device in engine.devices:
        named = _found(device, listed)
        if named and named in others and others[named][1] != device:
            model, other = others[named]
            yield error(
                f"'{engine.model}' needs {device_name(device)}, which is {device_name(other)} of "
                f"'{model}'.",
                "Assign each GPU to one model; to share it, write the same name at both.",
            )


def _found(device: Device, listed: Sequence[NamedDevice]) -> NamedDevice | None:
    """Return a GPU or slice by its UUID, or a GPU by its index."""
    return next(
        (
            each
            for each in listed
            if each.uuid == device or (each.slice is None and each.gpu == device)
        ),
        None,
    )


def _names(engine: VllmPlan, observed: Observation) -> Sequence[NamedDevice]:
    named = any(isinstance(device, str) for device in engine.devices)
    return observed[NamedDevices()] if named else ()
