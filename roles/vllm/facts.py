"""Facts for vLLM engines: the weights, GPUs by UUID, and the network between nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts import Fact, Lines, last, network, pairs

FILES = Path(__file__).parent / "files"
WEIGHTS = FILES / "weights.sh"
DEVICES = FILES / "device_names.sh"


@dataclass(frozen=True)
class Weights(Fact[frozenset[str] | None]):
    """The files of weights whose size has changed since they arrived, or that are missing.

    ``None`` if the directory has no weights that arrived completely.
    """

    directory: str

    function = "weights"
    shell = (WEIGHTS,)

    def value(self, lines: Lines) -> frozenset[str] | None:
        return frozenset(name for [name] in lines if name) if lines else None


@dataclass(frozen=True)
class SharedWeights(Weights):
    """The missing or empty files of weights that Mirrorfleet did not bring.

    ``None`` if the directory does not exist.
    """

    function = "shared"

    def value(self, lines: Lines) -> frozenset[str] | None:
        there = any(not name for [name] in lines)
        return super().value(lines) if there else None


@dataclass(frozen=True)
class UnusedWeights(Fact[Mapping[str, int]]):
    """The bytes of each unused directory of weights or environments, by path.

    A directory is unused if no generation of a service below ``root`` names it.
    """

    root: str
    directory: str

    function = "unused"
    shell = (WEIGHTS,)

    def value(self, lines: Lines) -> Mapping[str, int]:
        return {path: int(kib) * 1024 for path, kib in pairs(lines)}


@dataclass(frozen=True)
class WeightsSize(Fact[int]):
    """The bytes of the weights in a directory, 0 if there are none."""

    directory: str

    function = "bulk"
    shell = (WEIGHTS,)

    def value(self, lines: Lines) -> int:
        return int(last(lines) or 0)


@dataclass(frozen=True)
class NamedDevice:
    """A GPU, or a MIG slice of it, with its UUID.

    ``gpu`` is the index of the GPU, ``slice`` that of the slice on it, ``None`` for a whole GPU.
    ``memory`` is the slice's size in bytes, of its profile: 20 GB for "2g.20gb". It is 0 for a GPU.
    """

    uuid: str
    gpu: int
    slice: int | None = None
    memory: int = 0


@dataclass(frozen=True)
class NamedDevices(Fact[tuple[NamedDevice, ...]]):
    """NVIDIA's GPUs and their MIG slices, as `nvidia-smi -L` lists them."""

    program: str = "nvidia-smi"

    function = "device_names"
    shell = (DEVICES,)

    def value(self, lines: Lines) -> tuple[NamedDevice, ...]:
        found: list[NamedDevice] = []
        for [line] in lines:
            if match := _GPU.match(line):
                found.append(NamedDevice(match[2], int(match[1])))
            elif (match := _SLICE.match(line)) and found:
                size = int(match[1]) * 1024**3
                found.append(NamedDevice(match[3], found[-1].gpu, int(match[2]), size))
        return tuple(found)


_GPU = re.compile(r"GPU (\d+): .*\(UUID: (GPU-[0-9a-f-]+)\)")
_SLICE = re.compile(r"\s*MIG \S*\.(\d+)gb\S*\s+Device\s+(\d+): \(UUID: (MIG-[0-9a-f-]+)\)")


@dataclass(frozen=True)
class Card(Fact[str | None]):
    """The network interface with an address; ``None`` if none has it."""

    address: str

    function = "card"
    shell = (network.SHELL,)

    def value(self, lines: Lines) -> str | None:
        return last(lines)
