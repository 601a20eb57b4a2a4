"""Observe a host in one exec: all facts of all roles, as one frozen observation."""

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
"""The shell functions that every host receives."""

TIMEOUT = 120
"""Seconds for all facts, plus one second for each ten facts. A host that needs longer hangs."""


@dataclass(frozen=True)
class Machine:
    """System name and release, CPU architecture and cores, and memory in bytes."""

    system: str = "unknown"
    release: str = "unknown"
    architecture: str = "unknown"
    cores: int = 1
    memory: int = 0


class UnknownFact(Exception):
    """A fact was read that no role requests: a mistake in the role."""


@dataclass(frozen=True, eq=False)
class Observation:
    """The state of a host, observed once in a run: ``observed[Package("nftables")]`` is a bool.

    ``values`` has each requested fact. ``during`` is the begin and end of the observation, in
    seconds since 1970 by this machine's clock. An ``assumed`` host was never contacted: facts that
    ``values`` does not have are absent.
    """

    machine: Machine = Machine()
    values: Mapping[Fact[Any], Any] = field(default_factory=dict)
    during: tuple[float, float] = (0, inf)
    assumed: bool = False

    def __getitem__(self, fact: Fact[Value]) -> Value:
        """Return the value of a fact. Raises ``UnknownFact`` if no role requested it."""
        try:
            value: Value = self.values[fact]
        except KeyError:
            if self.assumed:
                return fact.value(())
            raise UnknownFact(f"{fact!r}: add it to the role's facts") from None
        return value

    def get(self, fact: Fact[Value]) -> Value:
        """Return the value of a fact; a fact that was not requested counts as absent."""
        try:
            value: Value = self.values[fact]
        except KeyError:
            return fact.value(())
        return value

    def updated(self, later: Observation) -> Observation:
        """Return this observation, updated with the facts of a later one."""
        return Observation(self.machine, {**self.values, **later.values}, self.during, self.assumed)

    def __copy__(self) -> Observation:
        """Return the same object: `once` needs it, and pyinfra copies a host's data."""
        return self


def assumed(values: Mapping[Any, Any] | None = None, **machine: Any) -> Observation:
    """Return the observation of a host with these facts only, without contacting one."""
    return Observation(Machine(**machine), values or {}, assumed=True)


Desired = TypeVar("Desired")
Made = TypeVar("Made")


def once(make: Callable[[Desired, Observation], Made]) -> Callable[[Desired, Observation], Made]:
    """Cache the result of a function per plan and observation: a run calls it many times."""
    made: WeakKeyDictionary[Observation, list[tuple[Desired, Made]]] = WeakKeyDictionary()

    @wraps(make)
    def remembered(desired: Desired, observed: Observation) -> Made:
        known = made.setdefault(observed, [])
        for plan, result in known:
            if plan is desired or plan == desired:
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
    """Return the shell script that prints the facts, each once, and then runs ``then``.

    One call of a shell function prints all facts that differ in their last argument only.
    """
    calls: dict[tuple[str, ...], list[str]] = {}
    kinds: dict[type[Fact[Any]], None] = {}
    for fact in facts:
        kinds[type(fact)] = None
        arguments = fact.arguments
        calls.setdefault((fact.function, *arguments[:-1]), []).extend(arguments[-1:])
    files = dict.fromkeys([COMMON, *(file for kind in kinds for file in kind.shell)])
    lines = [shlex.join([*call, *dict.fromkeys(last)]) for call, last in calls.items()]
    return "\n".join([*map(_functions, files), "machine", *lines, then, "exit 0", ""])


def observe(host: Host, facts: Iterable[Fact[Any]]) -> Observation:
    """Read facts of a host in one exec.

    Raises ``DeployError`` if the host does not answer or its answer is invalid.
    """
    requested = list(facts)
    began = time.time()
    lines = read_host(host, script(requested), TIMEOUT + len(requested) // 10)
    try:
        return parse(requested, lines, (began, time.time()))
    except ValueError as error:
        raise DeployError(f"the host's answer is invalid: {error}") from None


class NoAnswer(DeployError):
    """The connection to a host was lost."""


def read_host(host: Host, text: str, seconds: int) -> list[str]:
    """Run a script as root that changes nothing, and return the lines that it prints.

    The lines may have a developer's own settings, so no verbosity prints them. Raises
    ``DeployError`` if the host does not answer, or refuses root.
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
        raise NoAnswer(f"the host does not answer: {str(error) or type(error).__name__}") from None
    if not succeeded:
        reason = output.stderr.strip() or "no reason given"
        raise DeployError(f"the login user cannot become root: {reason}")
    return output.stdout_lines


def parse(
    facts: Iterable[Fact[Any]], lines: Iterable[str], during: tuple[float, float] = (0, inf)
) -> Observation:
    """Return the observation of the facts from the lines that their script printed.

    Raises ``ValueError`` for lines that no script prints. Ignores a login shell's greeting before
    the first line, and lines that belong to no fact.
    """
    facts = list(facts)
    machine, rows = split(lines)
    found = by_key(rows, {type(fact) for fact in facts})
    values: dict[Fact[Any], Any] = {}
    for fact in facts:  # implied facts are appended
        try:
            values[fact] = fact.value(found.get(fact.key, ()))
        except ValueError as error:
            raise ValueError(f"{fact!r}: {error}") from None
        if fact.implies:
            facts += fact.implied(values[fact])
    return Observation(machine, values, during)


def split(lines: Iterable[str]) -> tuple[Machine, list[list[str]]]:
    """Return the machine from a script's lines, and the fields of the other lines.

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
            for row in by_path.get(digest[2], ()):
                row[4:] = [digest[1]]
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
    """Return the lines about facts of these kinds and of implied kinds, by the facts' keys."""
    every = {some for kind in kinds for some in (kind, *kind.implies)}
    widths = {kind.function: 1 + len(repeated(kind)) for kind in every}
    found: dict[tuple[str, ...], list[list[str]]] = {}
    for fields in rows:
        if width := widths.get(fields[0]):
            found.setdefault(tuple(fields[:width]), []).append(fields[width:])
    return found
