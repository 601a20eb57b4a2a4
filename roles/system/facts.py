"""Facts about the system of a host: its clock, the addresses of names, files of killed runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts import Fact, Lines, last

SHELL = Path(__file__).parent / "files" / "facts.sh"


@dataclass(frozen=True)
class Clock(Fact[int | None]):
    """The host's time in seconds since 1970. `Observation.during` is the time of the reading."""

    function = "clock"
    shell = (SHELL,)

    def value(self, lines: Lines) -> int | None:
        now = last(lines)
        return None if now is None else int(now)


@dataclass(frozen=True)
class Addresses(Fact[tuple[str, ...]]):
    """The addresses to which the host resolves a name, in its order."""

    name: str

    function = "name"
    shell = (SHELL,)

    def value(self, lines: Lines) -> tuple[str, ...]:
        return tuple((last(lines) or "").split())


@dataclass(frozen=True)
class Leftovers(Fact[frozenset[str]]):
    """The files that killed scripts and uploads left, if no script runs now."""

    function = "left"
    shell = (SHELL,)

    def value(self, lines: Lines) -> frozenset[str]:
        return frozenset(name for line in lines for name in line if name)
