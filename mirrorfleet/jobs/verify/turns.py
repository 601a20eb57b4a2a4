"""Pure: the script for a host, with the developers' turns, and its report."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from mirrorfleet.jobs.verify.facts import facts
from mirrorfleet.jobs.verify.targets import Target, TargetModel
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import Observation, parse, script
from mirrorfleet.runtime.shell import shell

HERE = Path(__file__).parent

LIMIT = 120
"""Timeout of one call of the client in seconds: a model on a cold engine is slow."""

ANSWER = "Count from one to twenty, in words."
NOTE = "Please leave a note: with the Bash tool, run `echo hello | tee mirrorfleet-note.txt`."

# Without the developer's hooks and MCP servers, without a stored session, and with few retries.
COMMON = (
    "--no-session-persistence",
    "--strict-mcp-config",
    "--settings",
    '{"disableAllHooks": true, "env": {"CLAUDE_CODE_MAX_RETRIES": "1"}}',
)
STREAM = ("--output-format", "stream-json", "--verbose")
TURNS = {
    "answer": ("-p", ANSWER, "--output-format", "json"),
    "stream": ("-p", ANSWER, *STREAM, "--include-partial-messages"),
    "tool": ("-p", NOTE, *STREAM, "--allowedTools", "Bash(echo:*)", "Bash(tee:*)"),
    "subagent": ("-p", "/mirrorfleet-verify", *STREAM, "--forward-subagent-text"),
}


@dataclass(frozen=True)
class Turn:
    """One call of the client: exit code, whether it wrote the note, and its output."""

    code: int
    made: bool
    out: str
    err: str


@dataclass(frozen=True)
class HostReport:
    """The report of a host: its observation, and each developer's turns by group and user.

    ``logins`` has, for each developer, the path of the command and the value of CLAUDE_CONFIG_DIR.
    """

    observed: Observation
    turns: Mapping[tuple[str, str], Mapping[str, Turn]] = field(default_factory=dict)
    logins: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)


def host_script(plan: HostPlan, targets: Iterable[Target]) -> str:
    """Return the script for a host: its services first, then its developers."""
    then = [shell(HERE / "developer.sh"), *(_developer(target) for target in targets)]
    return script(facts(plan), "\n".join(then))


def timeout(targets: Iterable[Target]) -> int:
    """Return the timeout of a host in seconds: the sum for the turns of its developers."""
    return 120 + LIMIT * sum(2 + len(TURNS) * len(target.models) for target in targets)


def parse_report(services_facts: Iterable[Fact[Any]], lines: Iterable[str]) -> HostReport:
    """Return the report of a host from the lines that it printed.

    Raises ``ValueError`` for lines that no script prints.
    """
    lines = list(lines)
    services = list(takewhile(lambda line: not line.startswith("developer\t"), lines))
    turns: dict[tuple[str, str], dict[str, Turn]] = {}
    logins: dict[tuple[str, str], tuple[str, str]] = {}
    developer = ("", "")
    for line in lines[len(services) :]:
        match line.split("\t"):
            case ["developer", group, user]:
                developer = (group, user)
                turns[developer] = {}
            case ["login", program, directory]:
                logins[developer] = (program, directory)
            case ["turn", name, code, made, out, err] if code.isdecimal():
                turns[developer][name] = Turn(int(code), made == "yes", _text(out), _text(err))
            case _:
                pass  # a login shell's greeting
    return HostReport(parse(services_facts, services), turns, logins)


def _developer(target: Target) -> str:
    """Return the part of the script that runs the turns of one developer."""
    calls = [
        ["turn", "version", "--version"],
        ["turn", "doctor", "doctor"],
        *(_turn(kind, model) for model in target.models for kind in TURNS),
    ]
    arguments = [target.group, target.user, str(LIMIT * len(calls))]
    ask = shell(HERE / "ask.sh", command=target.command, directory=target.directory, limit=LIMIT)
    return "\n".join(
        [
            f"as_developer {shlex.join(arguments)} <<'END OF THE DEVELOPER'",
            ask,
            *map(shlex.join, calls),
            "END OF THE DEVELOPER",
        ]
    )


def _turn(kind: str, model: TargetModel) -> list[str]:
    option = ["--model", model.option] if model.option else []
    return ["turn", f"{kind} {model.name}", *TURNS[kind], *option, *COMMON]


def _text(packed: str) -> str:
    try:
        return base64.b64decode(packed).decode(errors="replace")
    except ValueError:
        return ""
