"""Measurement: contestants run in turn, round by round, so that load on the machine affects all."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from benchmarks import contestants, endstate, hosts, prepare
from benchmarks.contestants import Contestant
from tests.lab.hosts import Host


@dataclass
class Cell:
    """One contestant in one scenario: counts of sshd from the warm-up, times from the other rounds.

    ``cpu`` is the CPU time in seconds of the contestant's processes on this machine.
    """

    contestant: str
    scenario: str
    hosts: int
    delay: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    changes: int | None = None
    connections: float | None = None
    execs: float | None = None


class Course:
    """A number of hosts, and the files with their end state for every contestant."""

    contexts = count(endstate.CONTEXT + 1)
    """Values for changes. Each is new: Mirrorfleet does not send a generation that a host has."""

    def __init__(self, machines: Sequence[Host], scratch: Path) -> None:
        self.machines = machines
        self.scratch = scratch
        self.change_line()
        contestants.write_observation(scratch)

    def change_line(self) -> None:
        """Change one line of the configuration for all contestants."""
        endstate.write_fleet(self.scratch / "fleet.yml", self.machines, next(self.contexts))
        endstate.write_peers(self.scratch / "fleet.yml", self.scratch)

    def reset(self) -> None:
        """Reset the hosts to their state before the first convergence."""
        hosts.run(self.machines, endstate.RESET)

    def leave(self) -> None:
        """Do not change the hosts."""


def measure(
    course: Course,
    participants: Sequence[Contestant],
    delay: int,
    runs: int,
    patience: float,
    chosen: Sequence[str],
    log: Callable[[str], None],
) -> list[Cell]:
    """Run the ``chosen`` scenarios on a course, each with one warm-up and ``runs`` timed rounds.

    A contestant whose timed rounds took ``patience`` seconds in a scenario runs no more rounds of
    it.
    """
    changing = [contestant for contestant in participants if contestant.changes]
    scenarios = (
        ("first convergence", changing, course.reset),
        ("one changed line", changing, course.change_line),
        ("no change", list(participants), course.leave),
    )
    cells: list[Cell] = []
    for scenario, group, before in scenarios:
        if scenario not in chosen:
            continue
        if scenario == "no change":
            contestants.run(contestants.mirrorfleet(course.scratch))
        row = {one.name: Cell(one.name, scenario, len(course.machines), delay) for one in group}
        for turn in range(runs + 1):
            for contestant in group:
                cell = row[contestant.name]
                if cell.seconds and sum(cell.seconds) > patience:
                    continue
                before()
                _round(course, contestant, cell, warm_up=turn == 0)
            log(f"{len(course.machines)} hosts, {delay} ms, {scenario}: round {turn} of {runs}")
        cells += row.values()
        for cell in row.values():
            log(_line(cell))
    return cells


def _round(course: Course, contestant: Contestant, cell: Cell, *, warm_up: bool) -> None:
    since = prepare.clock(course.machines) if warm_up else ""
    busy, started = _cpu(), time.perf_counter()
    done = contestants.run(contestant)
    seconds, cpu = time.perf_counter() - started, _cpu() - busy
    if contestant.changes:
        cell.changes = contestant.changes(done.stdout)
        _require_changes(cell, done.stdout)
    if not warm_up:
        cell.seconds.append(seconds)
        cell.cpu.append(cpu)
        return
    cell.connections, cell.execs = prepare.sessions_since(course.machines, since)
    if contestant.changes and cell.scenario != "no change":
        _compare(course, contestant)


def _require_changes(cell: Cell, output: str) -> None:
    """Raise ``RuntimeError`` for changes without a need, or none where one is needed."""
    if (cell.changes == 0) != (cell.scenario == "no change"):
        raise RuntimeError(
            f"{cell.contestant} made {cell.changes} changes ({cell.scenario}): {output}"
        )


def _compare(course: Course, contestant: Contestant) -> None:
    """Raise ``RuntimeError`` if Mirrorfleet finds a change to make after a contestant's run."""
    reference = contestants.mirrorfleet(course.scratch)
    assert reference.changes is not None
    done = contestants.run(reference)
    if reference.changes(done.stdout):
        raise RuntimeError(f"{contestant.name} left another end state: {done.stdout}")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _line(cell: Cell) -> str:
    times = " ".join(f"{seconds:.2f}" for seconds in cell.seconds)
    course = f"{cell.hosts} hosts, {cell.delay} ms, {cell.scenario}"
    counts = f"{cell.connections:g} connections, {cell.execs:g} execs per host"
    return f"{course}, {cell.contestant}: {times} ({counts})"
