"""The GPUs of a host against its engines: how many there are, their driver, their memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from packaging.version import InvalidVersion, Version

from mirrorfleet.config import reading
from mirrorfleet.data import table
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import fit
from mirrorfleet.roles.vllm.memory import GIB, need
from mirrorfleet.runtime.observe import Observation, Question, Unit
from mirrorfleet.runtime.report import Doubt

SLACK = 1.05
"""What is beyond the memory by less is told, not refused: files may hold layers that vLLM does not
load, such as those that predict tokens ahead."""

FABRIC = "nvidia-fabricmanager.service"
"""What joins the GPUs of a host with NVSwitch."""

HINTS = {
    "version mismatch": "The driver was upgraded, and the kernel still runs the former one. Reboot "
    "the host.",
    "No devices were found": "The driver is loaded and finds no GPU: see lspci -d 10de: and dmesg.",
    "no answer within": "A GPU or the driver hangs: see dmesg, and reboot the host.",
    "Unknown Error": "A GPU has failed: see dmesg, and reboot the host.",
}
"""What to do about words of nvidia-smi."""


def questions(engine: VllmPlan, weights: str) -> list[Question]:
    """What must be known of the GPUs, and of the weights at their place, to judge an engine."""
    if engine.build != "cuda":
        return []
    asked: list[Question] = [("gpus", "nvidia-smi"), ("unit", FABRIC), ("bulk", weights)]
    asked += [("path", path) for path in _compat(engine)]
    return [*asked, ("content", f"{weights}/config.json")]


def refusals(
    plan: HostPlan, engine: VllmPlan, lock: Path, weights: str, seen: Observation
) -> Iterator[str]:
    """Yield why an engine cannot run on the GPUs of its host.

    ``lock`` pins its software, ``weights`` is where these are, or will be.
    """
    if engine.build != "cuda":
        return
    cuda, oldest = needed(lock)
    job = f"Run deploys/drivers.py: it installs {plan.driver}, or says what is in its way"
    if not seen.gpus:
        install = (
            f"Install NVIDIA's driver{f', {oldest} or newer' if oldest else ''}, or reboot into "
            f"it; deploys/drivers.py installs the package that hosts.{plan.name}.driver names"
        )
        said = f"nvidia-smi says: {seen.smi.rstrip('.')}" if seen.smi else "nvidia-smi"
        hint = _hint(seen) or f"{job if plan.driver else install}."
        yield (
            f"shows no NVIDIA GPU ({said}), and '{engine.model}' is to have "
            f"{len(engine.devices)}. {hint}"
        )
        return
    if beyond := [at for at in engine.devices if at >= len(seen.gpus)]:
        said = f" (nvidia-smi says: {seen.smi.rstrip('.')})" if seen.smi else ""
        hint = _hint(seen) or f"Correct hosts.{plan.name}.gpus.count."
        yield (
            f"has {len(seen.gpus)} GPUs, counted from 0{said}, and '{engine.model}' is to have GPU "
            f"{beyond[0]}. {hint}"
        )
        return
    yield from _generation(engine, cuda, seen)
    driver = seen.gpus[0].driver
    key = f"hosts.{plan.name}.gpus.cuda_compat"
    if engine.cuda_compat:
        if absent := [path for path in _compat(engine) if path not in seen.paths]:
            yield (
                f"has no {absent[0]}, and {key} says so. Install NVIDIA's package cuda-compat for "
                f"CUDA {cuda}, or correct the key."
            )
    elif older(driver, oldest):
        install = (
            f"Write its package as hosts.{plan.name}.driver and run deploys/drivers.py, or install "
            "it by hand"
        )
        yield (
            f"has NVIDIA's driver {driver}, and vLLM {engine.version} brings CUDA {cuda}, which "
            f"needs {oldest} or newer. {job if plan.driver else install}; or, for datacenter GPUs "
            f"only, NVIDIA's package cuda-compat, and write its directory as {key}."
        )
    yield from fit.refusals(engine, _model(engine, weights, seen)[0])
    yield from _memory(engine, weights, seen)


def _hint(seen: Observation) -> str:
    """Return what to do about what nvidia-smi says; "" where that is not known."""
    return next((hint for words, hint in HINTS.items() if words in seen.smi), "")


def _generation(engine: VllmPlan, cuda: str, seen: Observation) -> Iterator[str]:
    """Yield a GPU that is too old for the CUDA of a lock file, and GPUs that nothing joins."""
    oldest = table("drivers")["capability"].get(cuda, "")
    for at in engine.devices:
        if (found := seen.gpus[at].capability) and older(found, oldest):
            yield (
                f"has a GPU {at} of compute capability {found}, and vLLM {engine.version} brings "
                f"CUDA {cuda}, which needs {oldest} or newer: V100 and older GPUs are not "
                f"supported. Choose another host for '{engine.model}'."
            )
            break
    if seen.nvswitch and seen.units.get(FABRIC, Unit()).active != "active":
        yield Doubt(
            f"has GPUs that are joined by NVSwitch, and {FABRIC} does not run: without it, every "
            "CUDA call fails with error 802. Install nvidia-fabricmanager of the driver's release, "
            f"{seen.gpus[0].driver}, and run systemctl enable --now nvidia-fabricmanager."
        )


def _compat(engine: VllmPlan) -> list[str]:
    """Return the library that is to stand in for that of the driver."""
    return [f"{engine.cuda_compat}/libcuda.so.1"] if engine.cuda_compat else []


def _memory(engine: VllmPlan, place: str, seen: Observation) -> Iterator[str]:
    memory = min(seen.gpus[at].memory for at in engine.devices)
    if not memory:
        return  # shared with the machine
    config, size = _model(engine, place, seen)
    if not config or not size:
        yield Doubt(
            f"will be asked for memory for '{engine.model}' that nobody knows before its weights "
            "are there."
        )
        return
    wanted = need(engine, config, size)
    room = memory * engine.gpu_memory_utilization
    if wanted and wanted.bytes > room:
        why = (
            f"has {memory / GIB:.1f} GiB on a GPU, x {engine.gpu_memory_utilization} = "
            f"{room / GIB:.1f} GiB for '{engine.model}', which takes "
            f"{wanted.bytes / GIB:.1f} GiB at least: {wanted.how}. Split it over more GPUs, write "
            "a smaller context, or kv_cache_dtype: fp8."
        )
        yield why if wanted.bytes > room * SLACK else Doubt(why)


def _model(engine: VllmPlan, place: str, seen: Observation) -> tuple[bytes, int]:
    """Return config.json and the bytes of the weights: of the host, or of what it will be sent."""
    config = seen.contents.get(f"{place}/config.json", b"")
    source = Path(engine.weights.source)
    if not config and engine.weights.kind == "push":
        try:
            config = reading.content(source / "config.json")
        except reading.Unreadable:
            config = b""  # which is told by push.files
        parts = list(source.glob("model-*-of-*.safetensors")) or [source / "model.safetensors"]
        return config, sum(part.stat().st_size for part in parts if part.is_file())
    return config, seen.bulk.get(place, 0)


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
