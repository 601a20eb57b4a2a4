"""Facts about systemd units and listening ports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts.fact import Fact, Lines

SHELL = Path(__file__).parent / "units.sh"


@dataclass(frozen=True)
class UnitState:
    """A systemd unit. ``running`` is the generation with which its process was started."""

    active: str = "inactive"
    enabled: str = "no"
    running: str = ""
    needs_reload: bool = False
    drop_ins: str = ""


@dataclass(frozen=True)
class Unit(Fact[UnitState]):
    """The state of a system unit; a unit that systemd does not know is inactive."""

    name: str

    function = "unit"
    shell = (SHELL,)

    def value(self, lines: Lines) -> UnitState:
        if not lines:
            return UnitState()
        [active, enabled, running, reload, drop_ins] = lines[-1]
        return UnitState(active, enabled, running, reload == "yes", drop_ins)


@dataclass(frozen=True)
class Listening(Fact[frozenset[str]]):
    """The units that listen on a TCP port, or the commands of processes without a unit."""

    port: int

    function = "port"
    shell = (SHELL,)

    def value(self, lines: Lines) -> frozenset[str]:
        return frozenset(owner for [owner] in lines)
