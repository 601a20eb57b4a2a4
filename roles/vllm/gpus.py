"""Whether the GPUs of a host suffice for its engines: their number, driver and memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from mirrorfleet.config import reading
from mirrorfleet.config.engine_model import Device
from mirrorfleet.config.problems import Problem
from mirrorfleet.data import table
from mirrorfleet.engines.vllm import model_config
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import cards, fit
from mirrorfleet.roles.vllm.facts import NamedDevices, WeightsSize
from mirrorfleet.runtime.facts import Content, Exists, Fact, Gpus, Unit
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error, warning

FABRIC = "nvidia-fabricmanager.service"
"""The service that connects the GPUs of a host with NVSwitch."""

HINTS = {
    "version mismatch": "The driver was upgraded, but the kernel still runs the former one: reboot "
    "the host.",
    "No devices were found": "The driver is loaded and finds no GPU: see lspci -d 10de: and dmesg.",
    "no answer within": "A GPU or the driver hangs: see dmesg, and reboot the host.",
    "Unknown Error": "A GPU has failed: see dmesg, and reboot the host.",
}
"""The fixes for messages of nvidia-smi."""


def facts(plan: HostPlan, engine: VllmPlan, weights: str) -> list[Fact[Any]]:
    """Return the facts about the GPUs and the weights that decide whether an engine can run."""
    if engine.build != "cuda":
        return []
    needed: list[Fact[Any]] = [Gpus(), Unit(FABRIC), WeightsSize(weights)]
    if cards.has_uuids(plan):
        needed.append(NamedDevices())
    needed += [Exists(path) for path in _compat(engine)]
    return [*needed, Content(f"{weights}/config.json")]


def problems(
    plan: HostPlan, engine: VllmPlan, lock: Path, weights: str, observed: Observation
) -> Iterator[Problem]:
    """Yield why an engine cannot run on the GPUs of its host.

    ``lock`` is the lock file of its software, ``weights`` the directory of its weights.
    """
    if engine.build != "cuda":
        return
    cuda, oldest = needed(lock)
    report = observed[Gpus()]
    gpus, message = report.gpus, report.message.rstrip(".")
    job = f"Run deploys/drivers.py: it installs {plan.driver}, or reports what prevents it"
    if not gpus:
        install = (
            f"Install NVIDIA's driver{f', {oldest} or newer' if oldest else ''}, or reboot into "
            f"it; deploys/drivers.py installs the package that hosts.{plan.name}.driver names"
        )
        source = f"nvidia-smi: {message}" if message else "nvidia-smi"
        yield error(
            f"no NVIDIA GPU is visible ({source}), but '{engine.model}' needs "
            f"{len(engine.devices)}.",
            _hint(observed) or f"{job if plan.driver else install}.",
        )
        return
    if absent := cards.absent(engine, observed):
        yield _absent(plan, engine, absent, observed)
        return
    yield from cards.problems(plan, engine, observed)
    yield from _generation(engine, cuda, observed)
    driver = gpus[0].driver
    key = f"hosts.{plan.name}.gpus.cuda_compat"
    if engine.cuda_compat:
        if missing := [path for path in _compat(engine) if not observed[Exists(path)]]:
            yield error(
                f"{key} needs {missing[0]}, which does not exist.",
                f"Install NVIDIA's package cuda-compat for CUDA {cuda}, or correct the key.",
            )
    elif older(driver, oldest):
        install = (
            f"Set hosts.{plan.name}.driver to the driver's package and run deploys/drivers.py, or "
            "install it by hand"
        )
        yield error(
            f"NVIDIA's driver is {driver}, but vLLM {engine.version} brings CUDA {cuda}, which "
            f"needs {oldest} or newer.",
            f"{job if plan.driver else install}; or, for datacenter GPUs only, install NVIDIA's "
            f"package cuda-compat, and set {key} to its directory.",
        )
    yield from fit.problems(engine, _model(engine, weights, observed)[0])
    yield from _memory(engine, weights, observed)


def _absent(
    plan: HostPlan, engine: VllmPlan, absent: Sequence[Device], observed: Observation
) -> Problem:
    """Return the problem of GPUs that a host does not have."""
    report = observed[Gpus()]
    message = report.message.rstrip(".")
    source = f" (nvidia-smi: {message})" if message else ""
    if isinstance(absent[0], int):
        return error(
            f"'{engine.model}' needs GPU {absent[0]} (counted from 0), but {len(report.gpus)} GPUs "
            f"are visible{source}.",
            _hint(observed) or f"Correct hosts.{plan.name}.gpus.count.",
        )
    there = ", ".join(each.uuid for each in observed[NamedDevices()]) or "none"
    return error(
        f"'{engine.model}' needs {', '.join(map(str, absent))}, which {plan.name} does not have. "
        f"nvidia-smi -L lists {there}{source}.",
        _hint(observed) or f"Correct models.{engine.model}.devices.",
    )


def notices(engine: VllmPlan, weights: str, observed: Observation) -> Iterator[str]:
    """Yield what of the window wastes the GPUs, or probably overruns them."""
    if engine.build != "cuda" or not engine.is_head:
        return
    memory = min((card.memory for card in cards.cards(engine, observed)), default=0)
    config, size = _model(engine, weights, observed)
    if not (memory and size):
        return
    from mirrorfleet.engines.vllm import window_use  # all of sizing

    if found := window_use.notice(engine.model, engine, engine.concurrency, config, size, memory):
        yield found


def _hint(observed: Observation) -> str:
    """Return the fix for the message of nvidia-smi, "" if it is unknown."""
    return next((hint for words, hint in HINTS.items() if words in observed[Gpus()].message), "")


def _generation(engine: VllmPlan, cuda: str, observed: Observation) -> Iterator[Problem]:
    """Yield a GPU that is too old for the lock file's CUDA, and a stopped fabric manager."""
    oldest, report = table("drivers")["capability"].get(cuda, ""), observed[Gpus()]
    for at in [card.gpu for card in cards.cards(engine, observed)]:
        found = report.gpus[at].capability if at < len(report.gpus) else ""
        if found and older(found, oldest):
            yield error(
                f"GPU {at} has compute capability {found}, but vLLM {engine.version} brings CUDA "
                f"{cuda}, which needs {oldest} or newer: V100 and older GPUs are not supported.",
                f"Use another host for '{engine.model}'.",
            )
            break
    if report.nvswitch and observed[Unit(FABRIC)].active != "active":
        yield warning(
            f"NVSwitch connects the GPUs, but {FABRIC} is not running: every CUDA call fails "
            "with error 802.",
            "Install nvidia-fabricmanager of the driver's release, "
            f"{report.gpus[0].driver}, and run systemctl enable --now nvidia-fabricmanager.",
        )


def _compat(engine: VllmPlan) -> list[str]:
    """Return the path of the library that replaces the driver's, if one is set."""
    return [f"{engine.cuda_compat}/libcuda.so.1"] if engine.cuda_compat else []


def _memory(engine: VllmPlan, place: str, observed: Observation) -> Iterator[Problem]:
    memory = min(card.memory for card in cards.cards(engine, observed))
    if not memory:
        return  # shared with the machine
    config, size = _model(engine, place, observed)
    if not config or not size:
        yield warning(
            f"the GPU memory that '{engine.model}' needs is unknown until the host has its weights."
        )
        return
    from mirrorfleet.engines.vllm.memory import overrun  # only for hosts with GPUs

    if found := overrun(engine, config, size, memory):
        report = error if found.is_certain else warning
        yield report(f"'{engine.model}' {found.mistake}", found.remedy)


def _model(engine: VllmPlan, place: str, observed: Observation) -> tuple[bytes, int]:
    """Return config.json and the bytes of the weights: on the host, or those to upload."""
    config = observed[Content(f"{place}/config.json")] or b""
    source = Path(engine.weights.source)
    if not config and engine.weights.kind == "push":
        try:
            config = reading.content(source / "config.json")
        except reading.Unreadable:
            config = b""  # weights_upload.files reports it
        return config, model_config.safetensors_bytes(source)
    return config, (observed[WeightsSize(place)] or 0)


@cache
def needed(lock: Path) -> tuple[str, str]:
    """Return the major CUDA release of a lock file and its oldest driver, "" where unknown."""
    found = re.search(r"^nvidia-cuda-runtime(?:-cu\d+)?==(\d+)", lock.read_text("utf-8"), re.M)
    cuda = found[1] if found else ""
    return cuda, table("drivers")["cuda"].get(cuda, "")


def older(driver: str, oldest: str) -> bool:
    """Return whether a release is older than the oldest that works; an unknown format is not."""
    try:
        return Version(driver) < Version(oldest)
    except InvalidVersion:
        return False
