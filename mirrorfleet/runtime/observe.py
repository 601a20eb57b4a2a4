"""Know a host in one exec: every fact of every role at once, one frozen answer."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, wraps
from itertools import dropwhile
from math import inf
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from paramiko import SSHException
from pyinfra.api import Host, StringCommand
from pyinfra.api.exceptions import DeployError

from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.facts.fact import Value, repeated
from mirrorfleet.runtime.shell import shell

COMMON = Path(__file__).parent / "facts" / "common.sh"
"""The shell functions that every host is sent."""

PATIENCE = 120
"""Seconds for all facts, and one more for each ten: a host that needs longer hangs."""


@dataclass(frozen=True)
class Machine:
    """The system by its name and release, the CPU's architecture, and the memory in bytes."""

    system: str = "unknown"
    release: str = "unknown"
    architecture: str = "unknown"
    cores: int = 1
    memory: int = 0


class NotAsked(Exception):
    """A fact was read that no role's facts name: a mistake in the role."""


@dataclass(frozen=True, eq=False)
class Observation:
    """A host as it was found, once in a run: ``observed[Package("nftables")]`` is a bool.

    ``values`` holds each fact that was asked. ``during`` is from when until when, in seconds since
    1970 by this machine's clock. Of a host that is ``assumed`` and was never asked, what ``values``
    does not hold is absent.
    """

    machine: Machine = Machine()
    values: Mapping[Fact[Any], Any] = field(default_factory=dict)
    during: tuple[float, float] = (0, inf)
    assumed: bool = False

    def __getitem__(self, fact: Fact[Value]) -> Value:
        """Return the value of a fact. Raises ``NotAsked`` for one that was not asked."""
        try:
            value: Value = self.values[fact]
        except KeyError:
            if self.assumed:
                return fact.value(())
            raise NotAsked(f"{fact!r}: add it to what the role asks of this host") from None
        return value

    def get(self, fact: Fact[Value]) -> Value:
        """Return the value of a fact, as if it were absent where it was not asked."""
        try:
            value: Value = self.values[fact]
        except KeyError:
            return fact.value(())
        return value

    def updated(self, later: Observation) -> Observation:
        """Return this observation with the facts of a later one in place of its own."""
        return Observation(self.machine, {**self.values, **later.values}, self.during, self.assumed)

    def __copy__(self) -> Observation:
        """Stay the same one for `once`: pyinfra hands out copies of what it holds for a host."""
        return self


def assumed(values: Mapping[Any, Any] | None = None, **machine: Any) -> Observation:
    """Return a host that has these facts and nothing else, without asking any."""
    return Observation(Machine(**machine), values or {}, assumed=True)


Desired = TypeVar("Desired")
Made = TypeVar("Made")


def once(make: Callable[[Desired, Observation], Made]) -> Callable[[Desired, Observation], Made]:
    """Let a function work once for a plan and an observation: a run calls it over and over."""
    made: WeakKeyDictionary[Observation, list[tuple[Desired, Made]]] = WeakKeyDictionary()

    @wraps(make)
    def remembered(desired: Desired, observed: Observation) -> Made:
        known = made.setdefault(observed, [])
        for plan, result in known:
            if plan is desired:
                return result
        result = make(desired, observed)
        known.append((desired, result))
        return result

    return remembered


@cache
def _functions(path: Path) -> str:
    """Return a file of shell functions without comments, indentation and empty lines."""
    return re.sub(r"^[ \t]*\n", "", shell(path), flags=re.MULTILINE).rstrip("\n")


def script(facts: Iterable[Fact[Any]], then: str = "") -> str:
    """Return the shell script that asks for the facts, each once, and goes on with ``then``.

    Facts that differ in their last word only are asked together: one program answers them all.
    """
    calls: dict[tuple[str, ...], list[str]] = {}
    kinds: dict[type[Fact[Any]], None] = {}
    for fact in facts:
        kinds[type(fact)] = None
        arguments = fact.arguments
        calls.setdefault((fact.function, *arguments[:-1]), []).extend(arguments[-1:])
    files = dict.fromkeys([COMMON, *(file for kind in kinds for file in kind.shell)])
    asked = [shlex.join([*call, *dict.fromkeys(last)]) for call, last in calls.items()]
    return "\n".join([*map(_functions, files), "machine", *asked, then, "exit 0", ""])


def observe(host: Host, facts: Iterable[Fact[Any]]) -> Observation:
    """Ask a host for facts in one exec."""
    asked = list(facts)
    began = time.time()
    lines = look(host, script(asked), PATIENCE + len(asked) // 10)
    try:
        return parse(asked, lines, (began, time.time()))
    except ValueError as error:
        raise DeployError(f"the host gave an answer that cannot be read: {error}") from None


def look(host: Host, text: str, seconds: int) -> list[str]:
    """Run a script that only looks as root, and return the lines that it prints.

    They may hold a developer's own settings, so they are not printed at any verbosity.
    """
    try:
        succeeded, output = host.run_shell_command(
            StringCommand("sh", "-s"),
            print_output=False,
            _stdin=[text],
            _sudo=bool(host.data.get("_sudo")),
            _doas=bool(host.data.get("_doas")),
            _shell_executable=None,
            _timeout=seconds,
        )
    except (OSError, EOFError, SSHException) as error:
        raise DeployError(f"the host does not answer: {error or type(error).__name__}") from None
    if not succeeded:
        said = output.stderr.strip() or "no reason given"
        raise DeployError(f"the login user cannot become root: {said}")
    return output.stdout_lines


def parse(
    facts: Iterable[Fact[Any]], lines: Iterable[str], during: tuple[float, float] = (0, inf)
) -> Observation:
    """Turn the lines that a script printed into an observation of the facts that it asked for.

    Raises ``ValueError`` for lines that no script prints. A login shell may print a greeting before
    the first line. What no fact asked for is left out.
    """
    facts = list(facts)
    machine, rows = split(lines)
    found = by_key(rows, {type(fact) for fact in facts})
    values: dict[Fact[Any], Any] = {}
    for fact in facts:  # grows by what is implied
        try:
            values[fact] = fact.value(found.get(fact.key, ()))
        except ValueError as error:
            raise ValueError(f"{fact!r}: {error}") from None
        if fact.implies:
            facts += fact.implied(values[fact])
    return Observation(machine, values, during)


def split(lines: Iterable[str]) -> tuple[Machine, list[list[str]]]:
    """Return the machine of a script's lines, and the fields of the other lines.

    A digest that sha256sum printed becomes the last field of the line that `tree` printed.
    """
    lines = dropwhile(lambda line: not line.startswith("machine\t"), lines)
    machine = _machine(next(lines, ""))
    rows: list[list[str]] = []
    by_path: dict[str, list[list[str]]] = {}
    for line in lines:
        fields = line.split("\t")
        if fields[0] == "tree":
            _, root, name, _ = fields
            by_path.setdefault(f"{root}/{name}" if name else root, []).append(fields)
        elif len(fields) == 1:
            if not (digest := _DIGEST.fullmatch(line)):
                raise ValueError(f"{line[:80]!r}")
            for each in by_path.get(digest[2], ()):
                each[4:] = [digest[1]]
            continue
        rows.append(fields)
    return machine, rows


_DIGEST = re.compile(r"([0-9a-f]{64})  (/.*)")


def _machine(line: str) -> Machine:
    if not line:
        raise ValueError("it is empty")
    try:
        _, system, release, architecture, cores, kib = line.split("\t")
        return Machine(system, release, architecture, int(cores), int(kib) * 1024)
    except ValueError:
        raise ValueError(f"{line[:80]!r}") from None


def by_key(
    rows: Iterable[list[str]], kinds: Iterable[type[Fact[Any]]]
) -> dict[tuple[str, ...], list[list[str]]]:
    """Return the lines about facts of these kinds, and of those that they imply, by their keys."""
    every = {each for kind in kinds for each in (kind, *kind.implies)}
    widths = {kind.function: 1 + len(repeated(kind)) for kind in every}
    found: dict[tuple[str, ...], list[list[str]]] = {}
    for fields in rows:
        if width := widths.get(fields[0]):
            found.setdefault(tuple(fields[:width]), []).append(fields[width:])
    return found
