"""The GPUs of an Ollama: from indices to UUIDs, and what is wrong with them on a host.

CUDA, Vulkan and nvidia-smi number GPUs in different orders. A UUID is the same everywhere, also
when another GPU fails or is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.runtime.facts import Exists, Fact, GpuReport, Gpus
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error

OTHER = {
    "/etc/nv_tegra_release": "it is a Jetson, whose GPU nvidia-smi does not list",
    "/dev/kfd": "it has AMD GPUs, and the service opens the devices of NVIDIA GPUs only",
}
"""Paths that show other hardware, with the reason why Ollama cannot use it here."""


def facts(plan: OllamaPlan) -> list[Fact[Any]]:
    """Return the facts about the GPUs, if the server uses any."""
    return [Gpus(), *(Exists(path) for path in OTHER)] if plan.devices else []


def visible(plan: OllamaPlan, observed: Observation) -> str:
    """Return CUDA_VISIBLE_DEVICES: UUIDs where nvidia-smi reports them, else numbers."""
    # -1 is the index of no GPU: Ollama uses none.
    return ",".join(_uuids(plan, observed)) or "-1"


def _uuids(plan: OllamaPlan, observed: Observation) -> list[str]:
    report = observed[Gpus()] if plan.devices else GpuReport()
    return [_uuid(device, report) for device in plan.devices]


def _uuid(device: int | str, report: GpuReport) -> str:
    if isinstance(device, int) and device < len(report.gpus):
        return report.gpus[device].uuid or str(device)
    return str(device)


def problems(host: HostPlan, plan: OllamaPlan, observed: Observation) -> Iterator[Problem]:
    """Yield GPUs of the fleet file that the host does not have, or that another engine uses."""
    if not plan.devices:
        return
    report = observed[Gpus()]
    message = report.message.rstrip(".")
    source = f"nvidia-smi: {message}" if message else "nvidia-smi"
    if not report.gpus:
        other = (reason for path, reason in OTHER.items() if observed[Exists(path)])
        yield error(
            f"no NVIDIA GPU is visible ({source}), but Ollama needs {len(plan.devices)}"
            f"{''.join(f': {reason}' for reason in other)}.",
            f"Install NVIDIA's driver, or remove hosts.{host.name}.gpus to use the CPU.",
        )
        return
    numbers = [device for device in plan.devices if isinstance(device, int)]
    if absent := [device for device in numbers if device >= len(report.gpus)]:
        yield error(
            f"Ollama needs GPU {absent[0]} (counted from 0), but {len(report.gpus)} GPUs are "
            f"visible{f' ({source})' if message else ''}.",
            f"Correct hosts.{host.name}.gpus.count, or 'devices'.",
        )
        return
    known = {gpu.uuid for gpu in report.gpus}
    names = [device for device in plan.devices if isinstance(device, str)]
    if unknown := [device for device in names if device not in known]:
        yield error(
            f"Ollama needs the GPU {unknown[0]}, which nvidia-smi does not list.",
            "Write one of: " + ", ".join(sorted(known)) + ".",
        )
        return
    yield from _conflicts(host, plan, observed)


def _conflicts(host: HostPlan, plan: OllamaPlan, observed: Observation) -> Iterator[Problem]:
    """Yield a GPU that the file names twice, by its index and by its UUID."""
    report, mine = observed[Gpus()], _uuids(plan, observed)
    if twice := [device for device in mine if mine.count(device) > 1]:
        yield error(
            f"'devices' has the GPU {twice[0]} by its index and by its UUID.", "Remove one."
        )
    for engine in host.engines:
        if engine.service == plan.service:
            continue
        theirs = {_uuid(device, report) for device in getattr(engine, "devices", ())}
        for device in mine:
            if device in theirs:
                yield error(
                    f"the GPU {device} is assigned to '{engine.service}' and to Ollama.",
                    "Assign each GPU to one engine.",
                )
