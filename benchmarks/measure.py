"""Measure: every contestant in turn, round after round, so that a noisy minute hits all alike."""

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
    """One contestant in one scenario. Of the warm-up, what sshd has seen; of the rest, times.

    ``cpu`` is what the run cost this machine's processes of the contestant, without the hosts'.
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
    """So many hosts, and the files that tell every contestant what they are to be."""

    contexts = count(endstate.CONTEXT + 1)
    """Each change is a new one: what a host has had before, we would not send again."""

    def __init__(self, machines: Sequence[Host], scratch: Path) -> None:
        self.machines = machines
        self.scratch = scratch
        self.change_line()
        contestants.write_observation(scratch)

    def change_line(self) -> None:
        """Change one line of the configuration, for everybody."""
        endstate.write_fleet(self.scratch / "fleet.yml", self.machines, next(self.contexts))
        endstate.write_peers(self.scratch / "fleet.yml", self.scratch)

    def reset(self) -> None:
        """Take the hosts back to before their first convergence."""
        hosts.run(self.machines, endstate.RESET)

    def leave(self) -> None:
        """Leave the hosts as they are."""


def measure(
    course: Course,
    everybody: Sequence[Contestant],
    delay: int,
    runs: int,
    patience: float,
    wanted: Sequence[str],
    tell: Callable[[str], None],
) -> list[Cell]:
    """Run the ``wanted`` scenarios on a course, one warm-up and then ``runs`` timed rounds each.

    A contestant that has taken ``patience`` seconds in a scenario runs no further round of it,
    once it has been timed.
    """
    changing = [each for each in everybody if each.changes]
    scenarios = (
        ("first convergence", changing, course.reset),
        ("one changed line", changing, course.change_line),
        ("no change", list(everybody), course.leave),
    )
    cells: list[Cell] = []
    for scenario, those, before in scenarios:
        if scenario not in wanted:
            continue
        if scenario == "no change":
            contestants.run(contestants.ours(course.scratch))
        mine = {each.name: Cell(each.name, scenario, len(course.machines), delay) for each in those}
        for turn in range(runs + 1):
            for each in those:
                cell = mine[each.name]
                if cell.seconds and sum(cell.seconds) > patience:
                    continue
                before()
                _round(course, each, cell, warm_up=turn == 0)
            tell(f"{len(course.machines)} hosts, {delay} ms, {scenario}: round {turn} of {runs}")
        cells += mine.values()
        for cell in mine.values():
            tell(_line(cell))
    return cells


def _round(course: Course, contestant: Contestant, cell: Cell, *, warm_up: bool) -> None:
    since = prepare.clock(course.machines) if warm_up else ""
    busy, started = _cpu(), time.perf_counter()
    done = contestants.run(contestant)
    seconds, cpu = time.perf_counter() - started, _cpu() - busy
    if contestant.changes:
        cell.changes = contestant.changes(done.stdout)
        _judge(cell, done.stdout)
    if not warm_up:
        cell.seconds.append(seconds)
        cell.cpu.append(cpu)
        return
    cell.connections, cell.execs = prepare.sessions_since(course.machines, since)
    if contestant.changes and cell.scenario != "no change":
        _compare(course, contestant)


def _judge(cell: Cell, output: str) -> None:
    """Whoever changes what is right, or nothing where something is to be changed, is no peer."""
    if (cell.changes == 0) != (cell.scenario == "no change"):
        raise RuntimeError(
            f"{cell.contestant} has changed {cell.changes} ({cell.scenario}): {output}"
        )


def _compare(course: Course, contestant: Contestant) -> None:
    """Whatever a contestant has done, our own look at the hosts must find nothing left to do."""
    us = contestants.ours(course.scratch)
    assert us.changes is not None
    done = contestants.run(us)
    if us.changes(done.stdout):
        raise RuntimeError(f"{contestant.name} leaves another end state: {done.stdout}")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _line(cell: Cell) -> str:
    times = " ".join(f"{each:.2f}" for each in cell.seconds)
    course = f"{cell.hosts} hosts, {cell.delay} ms, {cell.scenario}"
    counts = f"{cell.connections:g} connections, {cell.execs:g} execs per host"
    return f"{course}, {cell.contestant}: {times} ({counts})"
