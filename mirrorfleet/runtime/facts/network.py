"""Facts of a host's network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts.fact import Fact, Lines

SHELL = Path(__file__).parent / "network.sh"


@dataclass(frozen=True)
class Unreached(Fact[bool]):
    """Does nothing come back from "ADDRESS PORT" within 3 s? A refusal counts as an answer."""

    target: str

    function = "unreached"
    shell = (SHELL,)

    def value(self, lines: Lines) -> bool:
        return bool(lines)
