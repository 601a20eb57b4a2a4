"""Know a host in one exec: every question of every role at once, one frozen answer."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import dropwhile
from pathlib import Path

from paramiko import SSHException
from pyinfra.api import Host, StringCommand
from pyinfra.api.exceptions import DeployError

FUNCTIONS = (Path(__file__).parent / "observe.sh").read_text(encoding="utf-8")

PATIENCE = 120
"""Seconds for all questions; a host that needs longer hangs on something."""

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
    """A file of a user: its mode in octal and its content."""

    mode: str
    content: bytes


@dataclass(frozen=True)
class Observation:
    """A host as it was found. What is absent on the host is absent here.

    ``memory`` is in bytes. ``python`` is like "3.11.2", or "none". ``files`` maps a path to
    "mode owner:group sha256". ``trees`` maps a directory to the digest of all below it.
    ``listeners`` maps a port to the units or commands that listen on it. ``texts`` has the content
    of files of ours by path, ``answers`` what servers on the host answer by URL. ``seats`` are the
    users and directories to which an earlier run gave Claude Code's settings, but for those that
    were asked about.
    """

    system: str = "unknown"
    release: str = "unknown"
    architecture: str = "unknown"
    cores: int = 1
    memory: int = 0
    python: str = "none"
    users: Mapping[str, str] = field(default_factory=dict)
    packages: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    trees: Mapping[str, str] = field(default_factory=dict)
    home_files: Mapping[tuple[str, str], HomeFile] = field(default_factory=dict)
    units: Mapping[str, Unit] = field(default_factory=dict)
    listeners: Mapping[int, frozenset[str]] = field(default_factory=dict)
    texts: Mapping[str, bytes] = field(default_factory=dict)
    answers: Mapping[str, bytes] = field(default_factory=dict)
    seats: frozenset[tuple[str, str]] = frozenset()


def script(questions: Iterable[Question]) -> str:
    """Return the shell script that asks the questions, each once."""
    calls = [shlex.join(question) for question in dict.fromkeys(questions)]
    return "\n".join([FUNCTIONS, "machine", *calls, "exit 0", ""])


def observe(host: Host, questions: Iterable[Question]) -> Observation:
    """Ask a host in one exec.

    Its answer may hold a developer's own settings, so it is not printed at any verbosity.
    """
    try:
        succeeded, output = host.run_shell_command(
            StringCommand("sh", "-s"),
            print_output=False,
            _stdin=[script(questions)],
            _sudo=bool(host.data.get("_sudo")),
            _shell_executable=None,
            _timeout=PATIENCE,
        )
    except (OSError, EOFError, SSHException) as error:
        raise DeployError(f"does not answer: {error or type(error).__name__}") from None
    if not succeeded:
        said = output.stderr.strip() or "no reason given"
        raise DeployError(f"does not let us look as root: {said}")
    try:
        return parse(output.stdout_lines)
    except ValueError as error:
        raise DeployError(f"gave an answer that cannot be read: {error}") from None


def parse(lines: Iterable[str]) -> Observation:
    """Turn the script's lines into an observation. Raises ``ValueError`` on any other line.

    What stands before the script's first line is not ours: a login shell may greet.
    """
    lines = dropwhile(lambda line: not line.startswith("machine\t"), lines)
    facts: dict[str, object] = {}
    found: dict[str, dict[object, object]] = {}
    packages, paths, seats = set(), set(), set()
    listeners: dict[int, set[str]] = {}
    for line in lines:
        match line.split("\t"):
            case ["machine", system, release, architecture, cores, memory, python]:
                facts = {
                    "system": system,
                    "release": release,
                    "architecture": architecture,
                    "cores": int(cores),
                    "memory": int(memory) * 1024,
                    "python": python,
                }
            case ["package", name]:
                packages.add(name)
            case ["path", name]:
                paths.add(name)
            case ["seat", user, directory]:
                seats.add((user, directory))
            case ["user" | "link" | "file" | "tree" as kind, name, value]:
                found.setdefault(f"{kind}s", {})[name] = value
            case ["text" | "answer" as kind, name, content]:
                found.setdefault(f"{kind}s", {})[name] = base64.b64decode(content)
            case ["home_file", user, name, mode, content]:
                file = HomeFile(mode, base64.b64decode(content))
                found.setdefault("home_files", {})[user, name] = file
            case ["unit", name, active, enabled, running, reload, drop_ins]:
                unit = Unit(active, enabled, running, reload == "yes", drop_ins)
                found.setdefault("units", {})[name] = unit
            case ["port", number, owner]:
                listeners.setdefault(int(number), set()).add(owner)
            case _:
                raise ValueError(f"{line[:80]!r}")
    if not facts:
        raise ValueError("it is empty")
    return Observation(
        **facts,  # type: ignore[arg-type]
        **found,  # type: ignore[arg-type]
        packages=frozenset(packages),
        paths=frozenset(paths),
        seats=frozenset(seats),
        listeners={port: frozenset(owners) for port, owners in listeners.items()},
    )
