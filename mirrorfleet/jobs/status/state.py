"""Pure: the script that reads a host's state, its answer, and the comparison with the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import inf
from pathlib import Path
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.jobs.rings.record import Record
from mirrorfleet.roles.load_balancer.certificate import Validity
from mirrorfleet.runtime.facts import Disk, Fact, Unit
from mirrorfleet.runtime.observe import Observation, parse, script
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.service import Installed
from mirrorfleet.runtime.shell import shell

SCRIPT = shell(Path(__file__).parent / "state.sh")

OWN = (Disk(ROOT), Disk(STATE))
"""The facts that status itself needs."""


@dataclass(frozen=True)
class Process:
    """A unit as systemd reports it.

    ``active`` is its state and ``seconds`` the time in that state, ``restarts`` the number of
    automatic restarts, ``memory`` in bytes. A unit that is not ``lasting`` ends after its work; its
    ``seconds`` are ``None`` before it ran.
    """

    active: str
    lasting: bool
    seconds: int | None
    restarts: int
    memory: int | None


@dataclass(frozen=True)
class GpuLoad:
    """One GPU: ``used`` and ``total`` memory in bytes, and utilization in percent."""

    used: int
    total: int
    busy: int


@dataclass(frozen=True)
class Applied:
    """The last run that changed a host: its time (UTC), person, revision and release."""

    at: str
    by: str
    revision: str
    release: str


@dataclass(frozen=True)
class Running:
    """Load and units of a host. ``available`` is the available memory in bytes.

    ``applied`` is ``None`` on a host that no run with this record has changed.
    """

    up: str
    load: str
    available: int
    gpus: tuple[GpuLoad, ...]
    units: Mapping[str, Process]
    applied: Applied | None = None


@dataclass(frozen=True)
class ServiceState:
    """A service and its unit, ``None`` if it is missing.

    ``generation`` is the running generation, ``desired`` the one of the fleet file. Both are empty
    for a unit without generations. ``desired`` is also empty if a secret is missing here.
    """

    name: str
    process: Process | None
    generation: str = ""
    desired: str = ""


@dataclass(frozen=True)
class HostState:
    """The state of a host. ``disk`` is the free space in bytes.

    ``faults`` are changes and errors of a run of deploys/mirror.py; ``unknown`` are reasons why the
    comparison is incomplete. ``notes`` are worth knowing and no difference, such as a developer's
    own client. ``ring`` is the record of the host's ring. ``certificate`` is that of
    the host's load balancer.
    """

    running: Running
    disk: int
    services: tuple[ServiceState, ...]
    faults: tuple[str, ...]
    warnings: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    ring: Record | None = None
    certificate: Validity | None = None
    notes: tuple[str, ...] = ()


def host_script(facts: Iterable[Fact[Any]]) -> str:
    """Return the script for a host: the facts of the roles, then those of the status itself."""
    return script([*facts, *OWN], SCRIPT)


def parse_report(
    facts: Iterable[Fact[Any]], lines: Iterable[str], during: tuple[float, float] = (0, inf)
) -> tuple[Observation, Running]:
    """Return the observation and the load of a host from the lines that it printed.

    ``during`` is the begin and end of the observation.

    Raises ``ValueError`` for lines that no script prints.
    """
    lines = list(lines)
    known = list(takewhile(lambda line: not line.startswith("status\t"), lines))
    up, load, available = "", "", 0
    applied: Applied | None = None
    gpus, units = [], {}
    for line in lines[len(known) :]:
        match line.split("\t"):
            case ["status", up, load, kib]:
                available = int(kib or 0) * 1024
            case ["gpu", _, used, total, busy]:
                gpus.append(GpuLoad(_int(used) * 1024**2, _int(total) * 1024**2, _int(busy)))
            case ["applied", *fields]:
                applied = Applied(*(fields + [""] * 4)[:4])
            case ["service", unit, active, kind, since, restarts, memory, now]:
                seconds = int(now) - int(since) if since.isdecimal() else None
                used_memory = int(memory) if memory.isdecimal() else None
                lasting = kind != "oneshot"
                units[unit] = Process(active, lasting, seconds, _int(restarts), used_memory)
            case _:
                raise ValueError(f"{line[:80]!r}")
    running = Running(up, load, available, tuple(gpus), units, applied)
    return parse([*facts, *OWN], known, during), running


def compare(
    running: Running,
    observed: Observation,
    installed: Sequence[Installed],
    desired: Mapping[str, str],
    problems: Sequence[Problem],
    changes: Sequence[str],
    unknown: Sequence[str] = (),
) -> HostState:
    """Return the state of a host, compared with the services of its plan.

    ``desired`` maps the names of services to their generations, as far as known. ``problems`` and
    ``changes`` are those of the roles; ``unknown`` are the reasons why some are missing. A failed
    or missing unit is a fault even if no role reports it.
    """
    warnings = [problem.text for problem in problems if problem.severity == "warning"]
    differs = [problem.text for problem in problems if problem.severity != "warning"]
    differs += changes
    failed = [
        f"{unit} has failed: see journalctl -u {unit}"
        for unit, process in running.units.items()
        if process.active == "failed" and not any(unit in text for text in differs)
    ]
    by_unit = {service.unit_name: service for service in installed}
    for expected in installed:
        process = running.units.get(expected.unit_name)
        active = process.active if process else "missing"
        if expected.name not in desired and active not in ("active", "failed"):
            failed.append(f"{expected.unit_name} is {active}")
    services = []
    for unit in [*by_unit, *(unit for unit in running.units if unit not in by_unit)]:
        name = unit.removeprefix("mirrorfleet-").removesuffix(".service")
        service, process = by_unit.get(unit), running.units.get(unit)
        if service is None:
            services.append(ServiceState(name, process))
        else:
            generation = observed[Unit(unit)].running
            services.append(ServiceState(name, process, generation, desired.get(name, "")))
    return HostState(
        running=running,
        disk=min(observed[fact] or 0 for fact in OWN),
        services=tuple(services),
        faults=(*dict.fromkeys(differs), *failed),
        warnings=tuple(dict.fromkeys(warnings)),
        unknown=tuple(dict.fromkeys(unknown)),
    )


def _int(text: str) -> int:
    """Return a number; 0 for other text ("[N/A]", "")."""
    return int(text) if text.isdecimal() else 0
