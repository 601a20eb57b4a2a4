"""Pure: what a host is asked about its state, what it answered, and how that compares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import inf
from pathlib import Path
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.runtime.facts import Disk, Fact, Unit
from mirrorfleet.runtime.observe import Observation, parse, script
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.service import Installed
from mirrorfleet.runtime.shell import shell

ASK = shell(Path(__file__).parent / "state.sh")

OWN = (Disk(ROOT), Disk(STATE))
"""The facts that status itself needs."""


@dataclass(frozen=True)
class Process:
    """A unit as systemd tells of it: for how many ``seconds`` it has been ``active`` (or whatever
    else it is), how often it was restarted by itself, and its ``memory`` in bytes. One that is not
    ``lasting`` does its work and ends; its seconds are ``None`` before that."""

    active: str
    lasting: bool
    seconds: int | None
    restarts: int
    memory: int | None


@dataclass(frozen=True)
class GpuLoad:
    """One GPU: memory in bytes, and the percentage of time in which it is ``busy``."""

    used: int
    total: int
    busy: int


@dataclass(frozen=True)
class Running:
    """What goes on on a host. ``available`` is the memory that is free for use, in bytes."""

    up: str
    load: str
    available: int
    gpus: tuple[GpuLoad, ...]
    units: Mapping[str, Process]


@dataclass(frozen=True)
class ServiceState:
    """A service and its unit, ``None`` where there is none. ``generation`` is what runs, ``wanted``
    what the fleet file wants; both are empty where a unit has no generations, and ``wanted`` also
    where a secret is missing that the generation holds."""

    name: str
    process: Process | None
    generation: str = ""
    wanted: str = ""


@dataclass(frozen=True)
class HostState:
    """A host: what runs there, what is free, what a run of deploys/mirror.py would change or
    stop for (``faults``), its ``warnings``, and why the rest is ``unknown`` here."""

    running: Running
    disk: int
    services: tuple[ServiceState, ...]
    faults: tuple[str, ...]
    warnings: tuple[str, ...]
    unknown: tuple[str, ...] = ()


def asked(facts: Iterable[Fact[Any]]) -> str:
    """Return the script for a host: the facts of the roles first, then those of status itself."""
    return script([*facts, *OWN], ASK)


def told(
    facts: Iterable[Fact[Any]], lines: Iterable[str], during: tuple[float, float] = (0, inf)
) -> tuple[Observation, Running]:
    """Read what a host printed about the facts of the roles, ``during`` which time.

    Raises ``ValueError`` for lines that no script prints.
    """
    lines = list(lines)
    known = list(takewhile(lambda line: not line.startswith("status\t"), lines))
    up, load, available = "", "", 0
    gpus, units = [], {}
    for line in lines[len(known) :]:
        match line.split("\t"):
            case ["status", up, load, kib]:
                available = int(kib or 0) * 1024
            case ["gpu", _, used, total, busy]:
                gpus.append(GpuLoad(_int(used) * 1024**2, _int(total) * 1024**2, _int(busy)))
            case ["service", unit, active, kind, since, restarts, memory, now]:
                seconds = int(now) - int(since) if since.isdecimal() else None
                held = int(memory) if memory.isdecimal() else None
                lasting = kind != "oneshot"
                units[unit] = Process(active, lasting, seconds, _int(restarts), held)
            case _:
                raise ValueError(f"{line[:80]!r}")
    return parse([*facts, *OWN], known, during), Running(up, load, available, tuple(gpus), units)


def compared(
    running: Running,
    observed: Observation,
    installed: Sequence[Installed],
    wanted: Mapping[str, str],
    problems: Sequence[Problem],
    changes: Sequence[str],
    unknown: Sequence[str] = (),
) -> HostState:
    """Hold what runs on a host against the services that are to be ``installed`` there.

    ``wanted`` maps the name of each to its generation, as far as that is known. ``problems`` and
    ``changes`` are those of the roles, ``unknown`` says why some could not be compared. A unit that
    has failed, or is not there, is a fault, also if none of them names it.
    """
    warnings = [each.text for each in problems if each.severity == "warning"]
    differs = [each.text for each in problems if each.severity != "warning"]
    differs += changes
    failed = [
        f"{unit} has failed: journalctl -u {unit} says why"
        for unit, process in running.units.items()
        if process.active == "failed" and not any(unit in why for why in differs)
    ]
    by_unit = {service.unit_name: service for service in installed}
    for expected in installed:
        process = running.units.get(expected.unit_name)
        active = process.active if process else "missing"
        if expected.name not in wanted and active not in ("active", "failed"):
            failed.append(f"{expected.unit_name} is {active}")
    services = []
    for unit in [*by_unit, *(unit for unit in running.units if unit not in by_unit)]:
        name = unit.removeprefix("mirrorfleet-").removesuffix(".service")
        service, process = by_unit.get(unit), running.units.get(unit)
        if service is None:
            services.append(ServiceState(name, process))
        else:
            generation = observed[Unit(unit)].running
            services.append(ServiceState(name, process, generation, wanted.get(name, "")))
    return HostState(
        running=running,
        disk=min(observed[each] or 0 for each in OWN),
        services=tuple(services),
        faults=(*dict.fromkeys(differs), *failed),
        warnings=tuple(dict.fromkeys(warnings)),
        unknown=tuple(dict.fromkeys(unknown)),
    )


def _int(text: str) -> int:
    """Read a figure; 0 where there is none ("[N/A]", "")."""
    return int(text) if text.isdecimal() else 0
