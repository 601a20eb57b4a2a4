"""The sizes of files below a directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts.fact import Fact, Lines, pairs


@dataclass(frozen=True)
class FileSizes(Fact[Mapping[str, int]]):
    """The bytes of each file below a directory, by its path relative to it."""

    directory: str

    function = "sizes"
    shell = (Path(__file__).parent / "sizes.sh",)

    def value(self, lines: Lines) -> Mapping[str, int]:
        return {name: int(size) for name, size in pairs(lines)}
