"""Kill the commands of a case at many steps, run it again, and compare with a clean host."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pyinfra.api.command import PyinfraCommand

from mirrorfleet.roles.system.role import System
from tests.kills.case import Case
from tests.kills.steps import Kill
from tests.kills.world import Failed, Host, Tree, Worlds
from tests.roles.fleets import good

PLAN = good("scopes").hosts["laptop"]
"""The plan of a host without services: the step that each host takes needs no more."""

VOLATILE = frozenset({"var/lib/mirrorfleet/applied", "opt/mirrorfleet/litellm/keys/former.json"})
"""Files with the time of the last script: only their rights are compared."""


@dataclass
class Result:
    """What became of the kills of a case: ``failures`` are the hosts that did not heal."""

    name: str
    steps: int = 0
    kills: int = 0
    seconds: float = 0
    failures: list[str] = field(default_factory=list)


class NotHealed(Exception):
    """What is wrong with a host after the next run."""


def run(case: Case, worlds: Worlds, kills: int, chance: random.Random) -> Result:
    """Kill the case ``kills`` times."""
    result, began = Result(case.name), time.monotonic()
    with worlds.host(keep=True) as host:
        case.prepare(host)
    before = host.directory
    with _started(case, worlds, before) as clean:
        result.steps = take(case, clean)
        assert heal(case, clean) == 0, f"{case.name}: a second run changes something"
        desired, state = clean.tree(case.ignored), case.state(clean)
        with _started(case, worlds, before) as again:
            heal(case, again)
            also = again.tree(case.ignored, desired)
        changing = VOLATILE | {path for path in desired if also[path] != desired[path]}
        for kill in moments(kills, result.steps, chance):
            result.kills += 1
            with _started(case, worlds, before) as host:
                try:
                    _heal(case, host, kill)
                    _compare(host, case, clean, desired, changing)
                    if case.state(host) != state:
                        raise NotHealed(f"{case.state(host)}\ninstead of\n{state}")
                except (NotHealed, Failed) as error:
                    result.failures.append(f"{kill}: {error}")
    result.seconds = time.monotonic() - began
    return result


def moments(kills: int, steps: int, chance: random.Random) -> Iterator[Kill]:
    """Yield the kills: a tenth cuts standard input, a fifth kills one process, others all.

    These are at every step if there are not more of them, otherwise at steps all over the run.
    """
    cuts, ones = kills // 10, kills // 5
    alls = kills - cuts - ones
    for number in range(alls):
        yield Kill(1 + (number * steps // alls + chance.randrange(max(1, steps // alls))) % steps)
    for _ in range(ones):
        yield Kill(chance.randint(1, steps), "one")
    for _ in range(cuts):
        yield Kill(chance.randrange(2**31), "cut")


@contextmanager
def _started(case: Case, worlds: Worlds, before: Path) -> Iterator[Host]:
    with worlds.host(before) as host:
        case.start(host)
        yield host


def take(case: Case, host: Host, kill: Kill | None = None) -> int:
    """Take the commands of a run, until one is killed; return the number of steps until then.

    Raises ``Failed`` if a command fails that was not killed.
    """
    steps = 0
    for command in commands(case, host):
        at = kill
        if kill and kill.kind != "cut":
            at = replace(kill, step=kill.step - steps)
        done = host.run(command, at)
        steps += done.steps
        if done.status and kill is None and not case.fails:
            raise Failed(f"status {done.status}: {done.output[-2000:]}")
        if done.status or done.was_killed:
            break
    return steps


def commands(case: Case, host: Host) -> Iterator[PyinfraCommand]:
    """Yield the commands of a run: it observes the host, and begins with the step of each run."""
    observed = host.observe([*System().facts(PLAN), *case.facts])
    for step in System().apply(PLAN, observed):
        yield from step.commands(PLAN, observed)
    yield from case.commands(observed)


def heal(case: Case, host: Host) -> int:
    """Take a run without a kill; return the number of its commands."""
    taken = 0
    try:
        for command in commands(case, host):
            host.complete(command)
            taken += 1
    except Failed:
        if not case.fails:
            raise
        return 0
    if case.fails:
        raise NotHealed("a run must fail, and has succeeded")
    return taken


def _heal(case: Case, host: Host, kill: Kill) -> None:
    """Take a run that is killed, the next one, and one that must have nothing to do."""
    take(case, host, kill)
    if left := [each for each in host.processes() if not case.server or case.server not in each]:
        raise NotHealed(f"processes are left: {left}")
    heal(case, host)
    if heal(case, host):
        raise NotHealed("the run after the next one changes something")


def _compare(host: Host, case: Case, clean: Host, desired: Tree, changing: Set[str]) -> None:
    found = host.tree(case.ignored, desired)
    full = {path: desired[path] if path in desired else clean.look(path) for path in found}
    if differences := wrong(full, found, changing):
        raise NotHealed(differences)


def wrong(desired: Tree, found: Tree, changing: Set[str] = VOLATILE) -> str:
    """Return the files that differ, "" for none. Of ``changing`` files, the rights are compared."""
    return "; ".join(
        f"{path}: {found.get(path, 'missing')}, not {desired.get(path, 'missing')}"
        for path in sorted({*desired, *found})
        if found.get(path) != desired.get(path)
        and not (
            # Equal modules can have different bytecode.
            (path in changing or path.endswith(".pyc"))
            and _rights(found.get(path)) == _rights(desired.get(path))
        )
    )[:2000]


def _rights(description: str | None) -> list[str]:
    return (description or "missing").split()[:2]
