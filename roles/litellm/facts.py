"""What a gateway in a container needs to know of a host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts import Fact, Lines


@dataclass(frozen=True)
class DockerImage(Fact[bool]):
    """Does Docker have a container image?"""

    reference: str

    function = "image"
    shell = (Path(__file__).parent / "files" / "image.sh",)

    def value(self, lines: Lines) -> bool:
        return bool(lines)
