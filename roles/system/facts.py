"""Facts about the system of a host with services: its clock, and the addresses of names."""

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
