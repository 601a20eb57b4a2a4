"""The NVIDIA GPUs of a host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts.fact import Fact, Lines


@dataclass(frozen=True)
class Gpu:
    """One GPU: memory in bytes, the driver's release, the compute capability, such as "9.0".

    The memory is 0 if the GPU shares the machine's. The capability and the UUID, which begins with
    "GPU-", are "" if not reported.
    """

    memory: int
    driver: str
    capability: str = ""
    uuid: str = ""


@dataclass(frozen=True)
class GpuReport:
    """The GPUs of a host in their order, and whether NVSwitch connects them.

    ``message`` is the other output of nvidia-smi.
    """

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
        gpus, messages, nvswitch = [], [], False
        for kind, *fields in lines:
            match kind:
                case "gpu":
                    _, memory, driver, capability, *uuid = fields
                    gpus.append(Gpu(int(memory or 0) * 1024**2, driver, capability, *uuid[:1]))
                case "message":
                    messages += fields
                case _:
                    nvswitch = True
        return GpuReport(tuple(gpus), " ".join(messages).strip(), nvswitch)
