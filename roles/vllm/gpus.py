"""The GPUs of a host against its engines: how many there are, their driver, their memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from mirrorfleet.config import reading
from mirrorfleet.config.problems import Problem
from mirrorfleet.data import table
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import fit
from mirrorfleet.roles.vllm.facts import WeightsSize
from mirrorfleet.roles.vllm.memory import GIB, need
from mirrorfleet.runtime.facts import Content, Exists, Fact, Gpus, Unit
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error, warning

SLACK = 1.05
"""A model that needs more memory than there is by less than this factor is a warning, not an error:
its files may hold layers that vLLM does not load, such as those that predict tokens ahead."""

FABRIC = "nvidia-fabricmanager.service"
"""What joins the GPUs of a host with NVSwitch."""

HINTS = {
    "version mismatch": "The driver was upgraded, and the kernel still runs the former one. Reboot "
    "the host.",
    "No devices were found": "The driver is loaded and finds no GPU: see lspci -d 10de: and dmesg.",
    "no answer within": "A GPU or the driver hangs: see dmesg, and reboot the host.",
    "Unknown Error": "A GPU has failed: see dmesg, and reboot the host.",
}
"""What to do about messages of nvidia-smi."""


def facts(engine: VllmPlan, weights: str) -> list[Fact[Any]]:
    """What must be known of the GPUs, and of the weights at their place, to judge an engine."""
    if engine.build != "cuda":
        return []
    asked: list[Fact[Any]] = [Gpus(), Unit(FABRIC), WeightsSize(weights)]
    asked += [Exists(path) for path in _compat(engine)]
    return [*asked, Content(f"{weights}/config.json")]


def problems(
    plan: HostPlan, engine: VllmPlan, lock: Path, weights: str, observed: Observation
) -> Iterator[Problem]:
    """Yield why an engine cannot run on the GPUs of its host.

    ``lock`` pins its software, ``weights`` is where these are, or will be.
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
        said = f"nvidia-smi: {message}" if message else "nvidia-smi"
        yield error(
            f"no NVIDIA GPU is visible ({said}), and '{engine.model}' needs {len(engine.devices)}.",
            _hint(observed) or f"{job if plan.driver else install}.",
        )
        return
    if beyond := [at for at in engine.devices if at >= len(gpus)]:
        said = f" (nvidia-smi: {message})" if message else ""
        yield error(
            f"'{engine.model}' needs GPU {beyond[0]}, counted from 0, and {len(gpus)} GPUs "
            f"are visible{said}.",
            _hint(observed) or f"Correct hosts.{plan.name}.gpus.count.",
        )
        return
    yield from _generation(engine, cuda, observed)
    driver = gpus[0].driver
    key = f"hosts.{plan.name}.gpus.cuda_compat"
    if engine.cuda_compat:
        if absent := [path for path in _compat(engine) if not observed[Exists(path)]]:
            yield error(
                f"{key} promises {absent[0]}, which is not there.",
                f"Install NVIDIA's package cuda-compat for CUDA {cuda}, or correct the key.",
            )
    elif older(driver, oldest):
        install = (
            f"Set hosts.{plan.name}.driver to the driver's package and run deploys/drivers.py, or "
            "install it by hand"
        )
        yield error(
            f"NVIDIA's driver is {driver}, and vLLM {engine.version} brings CUDA {cuda}, which "
            f"needs {oldest} or newer.",
            f"{job if plan.driver else install}; or, for datacenter GPUs only, install NVIDIA's "
            f"package cuda-compat, and set {key} to its directory.",
        )
    yield from fit.problems(engine, _model(engine, weights, observed)[0])
    yield from _memory(engine, weights, observed)


def _hint(observed: Observation) -> str:
    """Return what to do about what nvidia-smi says; "" where that is not known."""
    return next((hint for words, hint in HINTS.items() if words in observed[Gpus()].message), "")


def _generation(engine: VllmPlan, cuda: str, observed: Observation) -> Iterator[Problem]:
    """Yield a GPU that is too old for the CUDA of a lock file, and GPUs that nothing joins."""
    oldest, report = table("drivers")["capability"].get(cuda, ""), observed[Gpus()]
    for at in engine.devices:
        if (found := report.gpus[at].capability) and older(found, oldest):
            yield error(
                f"GPU {at} has compute capability {found}, and vLLM {engine.version} brings CUDA "
                f"{cuda}, which needs {oldest} or newer: V100 and older GPUs are not supported.",
                f"Choose another host for '{engine.model}'.",
            )
            break
    if report.nvswitch and observed[Unit(FABRIC)].active != "active":
        yield warning(
            f"NVSwitch joins the GPUs, and {FABRIC} is not running: every CUDA call fails with "
            "error 802.",
            "Install nvidia-fabricmanager of the driver's release, "
            f"{report.gpus[0].driver}, and run systemctl enable --now nvidia-fabricmanager.",
        )


def _compat(engine: VllmPlan) -> list[str]:
    """Return the library that is to stand in for that of the driver."""
    return [f"{engine.cuda_compat}/libcuda.so.1"] if engine.cuda_compat else []


def _memory(engine: VllmPlan, place: str, observed: Observation) -> Iterator[Problem]:
    memory = min(observed[Gpus()].gpus[at].memory for at in engine.devices)
    if not memory:
        return  # shared with the machine
    config, size = _model(engine, place, observed)
    if not config or not size:
        yield warning(
            f"the GPU memory that '{engine.model}' needs is not known before its weights are there."
        )
        return
    needs = need(engine, config, size)
    room = memory * engine.gpu_memory_utilization
    if needs and needs.bytes > room:
        is_certain = needs.bytes > room * SLACK
        yield (error if is_certain else warning)(
            f"'{engine.model}' needs at least {needs.bytes / GIB:.1f} GiB on each GPU: "
            f"{needs.how}. A GPU has {memory / GIB:.1f} GiB x {engine.gpu_memory_utilization} = "
            f"{room / GIB:.1f} GiB.",
            "Split it over more GPUs, set a smaller context, or set kv_cache_dtype: fp8.",
        )


def _model(engine: VllmPlan, place: str, observed: Observation) -> tuple[bytes, int]:
    """Return config.json and the bytes of the weights: of the host, or of what it will be sent."""
    config = observed[Content(f"{place}/config.json")] or b""
    source = Path(engine.weights.source)
    if not config and engine.weights.kind == "push":
        try:
            config = reading.content(source / "config.json")
        except reading.Unreadable:
            config = b""  # which push.files reports
        parts = list(source.glob("model-*-of-*.safetensors")) or [source / "model.safetensors"]
        return config, sum(part.stat().st_size for part in parts if part.is_file())
    return config, (observed[WeightsSize(place)] or 0)


@cache
def needed(lock: Path) -> tuple[str, str]:
    """Return the major release of the CUDA libraries that a lock file brings, and the oldest driver
    with which they run; "" where that is not known."""
    found = re.search(r"^nvidia-cuda-runtime(?:-cu\d+)?==(\d+)", lock.read_text("utf-8"), re.M)
    cuda = found[1] if found else ""
    return cuda, table("drivers")["cuda"].get(cuda, "")


def older(driver: str, oldest: str) -> bool:
    """Is a driver older than the oldest that will do? What is not understood is not."""
    try:
        return Version(driver) < Version(oldest)
    except InvalidVersion:
        return False
