"""The NVIDIA GPUs of a host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts.fact import Fact, Lines


@dataclass(frozen=True)
class Gpu:
    """One GPU: its memory in bytes, 0 where it shares the machine's, its driver's release, and its
    compute capability, like "9.0", or "" where the driver does not report it."""

    memory: int
    driver: str
    capability: str = ""


@dataclass(frozen=True)
class GpuReport:
    """The GPUs of a host in their order, and whether NVSwitch joins them. ``message`` is what
    nvidia-smi prints besides them."""

    gpus: tuple[Gpu, ...] = ()
    message: str = ""
    nvswitch: bool = False


@dataclass(frozen=True)
class Gpus(Fact[GpuReport]):
    """NVIDIA's GPUs, as nvidia-smi reports them."""

    program: str = "nvidia-smi"

    function = "gpus"
    shell = (Path(__file__).parent / "gpus.sh",)

    def value(self, lines: Lines) -> GpuReport:
        gpus, words, nvswitch = [], [], False
        for kind, *fields in lines:
            match kind:
                case "gpu":
                    _, memory, driver, capability = fields
                    gpus.append(Gpu(int(memory or 0) * 1024**2, driver, capability))
                case "message":
                    words += fields
                case _:
                    nvswitch = True
        return GpuReport(tuple(gpus), " ".join(words).strip(), nvswitch)
