"""Know a host in one exec: every question of every role at once, one frozen answer."""

from __future__ import annotations

import base64
import re
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from itertools import dropwhile
from math import inf
from pathlib import Path
from typing import TypeVar
from weakref import WeakKeyDictionary

from paramiko import SSHException
from pyinfra.api import Host, StringCommand
from pyinfra.api.exceptions import DeployError


def _functions(name: str) -> str:
    """Return a file of shell functions without comments and indentation: each host is sent it."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    return re.sub(r"^ *(#.*\n)?", "", text, flags=re.MULTILINE)


FUNCTIONS = _functions("observe.sh")
"""What every run takes along."""

RARE = {
    ("driver",): _functions("driver.sh"),
    ("gpus",): _functions("gpus.sh"),
    ("name",): _functions("name.sh"),
    ("weights", "shared", "unused"): _functions("weights.sh"),
    ("database",): _functions("database.sh"),
}
"""By the questions: what only a run that asks one of them takes along."""

PATIENCE = 120
"""Seconds for all questions, and one more for each ten: whoever needs longer hangs on something."""

Question = tuple[str, ...]
"""A function of observe.sh and its arguments: ``("unit", "mirrorfleet-litellm.service")``."""


@dataclass(frozen=True)
class Unit:
    """A systemd unit: ``running`` is the generation that its process was started with."""

    active: str = "inactive"
    enabled: str = "no"
    running: str = ""
    needs_reload: bool = False
    drop_ins: str = ""


@dataclass(frozen=True)
class HomeFile:
    """A file of a user: its mode in octal, and its content.

    Or why its content is not known: ``unreadable`` for the user itself, ``irregular``,
    ``oversized``, or ``slow`` where the home does not answer in time.
    """

    mode: str
    content: bytes


@dataclass(frozen=True)
class Gpu:
    """One GPU: its memory in bytes, 0 where it shares the machine's, its driver's release, and its
    compute capability, like "9.0", or "" where the driver does not report it."""

    memory: int
    driver: str
    capability: str = ""


@dataclass(frozen=True, eq=False)
class Observation:
    """A host as it was found, once in a run. What is absent on the host is absent here.

    ``memory`` is in bytes. ``python`` is like "3.11.2", or "none". ``disks`` maps a path to the
    bytes that are free there. ``files`` maps what stands at or below a path to "mode owner:group
    sha256", a directory to "mode owner:group directory". ``listeners`` maps a port to the units or
    commands that listen on it. ``environments`` maps the directory of each Python environment that
    is whole to the first path in it that another hand has changed, or "". ``contents`` maps a path
    to what the file holds, ``answers`` a URL to what a server on the host answers. ``wrong`` maps
    weights to those of their files that are not as they should be, ``sizes`` a file to its bytes,
    ``unused`` weights that nothing starts with to theirs. ``seats`` are the users and directories
    to which an earlier run gave Claude Code's settings, but for those that were asked about.
    ``tables`` maps a table of nftables to a digest of what is loaded, ``routes`` an address to the
    host's own address on the way there, ``cards`` an address to the network card that has it,
    ``databases`` a file of psql's settings to what that database says. ``unreached`` are addresses
    and ports that do not answer. ``services`` are those of ours that stand on the host, by their
    short names. ``bulk`` maps a directory to the bytes of the weights in it. ``ahead`` is by how
    many seconds the host's clock is ahead of ours, 0 where the time that the look took may explain
    it.
    ``own_clients`` maps a user and a path to where a client stands that is the user's own.
    ``images`` are those container images that were asked about and that Docker has.
    ``drivers`` is what driver.sh tells of a driver's package and the kernel, by the word it uses;
    ``offers`` maps the packages that apt would install with it to their versions, and those that
    it would remove to "". ``names`` maps a name to the addresses that the host finds for it.
    ``smi`` is what nvidia-smi says beside its GPUs, and ``nvswitch`` whether GPUs are joined by
    NVSwitch.
    """

    system: str = "unknown"
    release: str = "unknown"
    architecture: str = "unknown"
    cores: int = 1
    memory: int = 0
    python: str = "none"
    gpus: tuple[Gpu, ...] = ()
    smi: str = ""
    nvswitch: bool = False
    disks: Mapping[str, int] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    packages: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)
    environments: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict)
    home_files: Mapping[tuple[str, str], HomeFile] = field(default_factory=dict)
    units: Mapping[str, Unit] = field(default_factory=dict)
    listeners: Mapping[int, frozenset[str]] = field(default_factory=dict)
    answers: Mapping[str, bytes] = field(default_factory=dict)
    wrong: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    unused: Mapping[str, int] = field(default_factory=dict)
    seats: frozenset[tuple[str, str]] = frozenset()
    tables: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)
    cards: Mapping[str, str] = field(default_factory=dict)
    unreached: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    bulk: Mapping[str, int] = field(default_factory=dict)
    ahead: float = 0.0
    own_clients: Mapping[tuple[str, str], str] = field(default_factory=dict)
    drivers: Mapping[str, str] = field(default_factory=dict)
    offers: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def __copy__(self) -> Observation:
        """Stay the same one for `once`: pyinfra hands out copies of what it holds for a host."""
        return self


Wanted = TypeVar("Wanted")
Made = TypeVar("Made")


def once(make: Callable[[Wanted, Observation], Made]) -> Callable[[Wanted, Observation], Made]:
    """Let a function work once for a plan and an observation: a run asks it over and over."""
    made: WeakKeyDictionary[Observation, list[tuple[Wanted, Made]]] = WeakKeyDictionary()

    @wraps(make)
    def remembered(wanted: Wanted, seen: Observation) -> Made:
        known = made.setdefault(seen, [])
        for plan, result in known:
            if plan is wanted:
                return result
        result = make(wanted, seen)
        known.append((wanted, result))
        return result

    return remembered


def script(questions: Iterable[Question], then: str = "") -> str:
    """Return the shell script that asks the questions, each once, and goes on with ``then``.

    Those that differ in their last word only are asked together: one program answers them all.
    """
    calls: dict[tuple[str, ...], list[str]] = {}
    for *call, thing in dict.fromkeys(questions):
        calls.setdefault(tuple(call), []).append(thing)
    kinds = {call[0] for call in calls}
    rare = [text for several, text in RARE.items() if kinds.intersection(several)]
    asked = [shlex.join([*call, *things]) for call, things in calls.items()]
    return "\n".join([FUNCTIONS, *rare, "machine", *asked, then, "exit 0", ""])


def observe(host: Host, questions: Iterable[Question]) -> Observation:
    """Ask a host in one exec."""
    everything = list(questions)
    asked = time.time()
    lines = look(host, script(everything), PATIENCE + len(everything) // 10)
    try:
        return parse(lines, (asked, time.time()))
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


def parse(lines: Iterable[str], during: tuple[float, float] = (0, inf)) -> Observation:
    """Turn the script's lines into an observation. Raises ``ValueError`` on any other line.

    ``during`` is from when until when the script ran, by our own clock.
    What stands before the script's first line is not ours: a login shell may greet.
    """
    lines = dropwhile(lambda line: not line.startswith("machine\t"), lines)
    facts: dict[str, object] = {}
    found: dict[str, dict[object, object]] = {}
    packages, paths, images, seats, services = set(), set(), set(), set(), set()
    unreached: set[str] = set()
    gpus: list[Gpu] = []
    ahead = 0.0
    kinds: dict[str, str] = {}
    digests: dict[str, str] = {}
    listeners: dict[int, set[str]] = {}
    wrong: dict[str, set[str]] = {}
    for line in lines:
        match line.split("\t"):
            case ["machine", system, release, architecture, cores, memory]:
                facts = {
                    "system": system,
                    "release": release,
                    "architecture": architecture,
                    "cores": int(cores),
                    "memory": int(memory) * 1024,
                }
            case ["python", version]:
                facts["python"] = version
            case ["gpu", _, memory, driver, capability]:
                gpus.append(Gpu(int(memory or 0) * 1024**2, driver, capability))
            case ["smi", *said]:
                facts["smi"] = " ".join([str(facts.get("smi", "")), *said]).strip()
            case ["nvswitch", _]:
                facts["nvswitch"] = True
            case ["clock", _, now]:
                ahead = max(0.0, int(now) - during[1]) + min(0.0, int(now) + 1 - during[0])
            case ["bulk", name, size]:
                found.setdefault("bulk", {})[name] = int(size)
            case ["disk", name, free]:
                found.setdefault("disks", {})[name] = int(free) * 1024
            case ["package", name]:
                packages.add(name)
            case ["path", name]:
                paths.add(name)
            case ["image", name]:
                images.add(name)
            case ["service", name]:
                services.add(name)
            case [
                "user"
                | "link"
                | "environment"
                | "table"
                | "route"
                | "card"
                | "database"
                | "driver"
                | "offer"
                | "name" as kind,
                name,
                value,
            ]:
                found.setdefault(f"{kind}s", {})[name] = value
            case ["unreached", way]:
                unreached.add(way)
            case ["file", name, value]:
                kinds[name] = value
            case [other] if digest := _DIGEST.fullmatch(other):
                digests[digest[2]] = digest[1]
            case ["seat", user, directory]:
                seats.add((user, directory))
            case ["content" | "answer" as kind, name, content]:
                found.setdefault(f"{kind}s", {})[name] = base64.b64decode(content)
            case ["home_file", user, name, *said]:
                found.setdefault("home_files", {})[user, name] = _home_file(said)
            case ["own_client", user, name, target]:
                found.setdefault("own_clients", {})[user, name] = target
            case ["unit", name, active, enabled, running, reload, drop_ins]:
                unit = Unit(active, enabled, running, reload == "yes", drop_ins)
                found.setdefault("units", {})[name] = unit
            case ["size", name, size]:
                found.setdefault("sizes", {})[name] = int(size)
            case ["unused", directory, size]:
                found.setdefault("unused", {})[directory] = int(size) * 1024
            case ["wrong", directory, name]:
                wrong.setdefault(directory, set()).add(name)
            case ["port", number, owner]:
                listeners.setdefault(int(number), set()).add(owner)
            case _:
                raise ValueError(f"{line[:80]!r}")
    if not facts:
        raise ValueError("it is empty")
    return Observation(
        **facts,  # type: ignore[arg-type]
        **found,  # type: ignore[arg-type]
        gpus=tuple(gpus),
        ahead=ahead,
        packages=frozenset(packages),
        paths=frozenset(paths),
        images=frozenset(images),
        seats=frozenset(seats),
        unreached=frozenset(unreached),
        services=frozenset(services),
        files={name: _file(value, digests.get(name, "")) for name, value in kinds.items()},
        listeners={port: frozenset(owners) for port, owners in listeners.items()},
        wrong={directory: frozenset(names) for directory, names in wrong.items()},
    )


def _home_file(said: list[str]) -> HomeFile:
    """Read what a home says of a file: the process that says it is the user's."""
    try:
        mode, content = said
        if re.fullmatch("[0-7]{1,4}|irregular|oversized|slow", mode):
            return HomeFile(mode, base64.b64decode(content, validate=True))
    except ValueError:
        pass
    return HomeFile("unreadable", b"")


_DIGEST = re.compile(r"([0-9a-f]{64})  (/.*)")
"""A line of sha256sum."""


def _file(said: str, digest: str) -> str:
    kind, rest = said.split(" ", 1)
    return f"{rest} {digest or _KINDS.get(kind, 'something else')}"


_KINDS = {"d": "directory", "l": "link"}
