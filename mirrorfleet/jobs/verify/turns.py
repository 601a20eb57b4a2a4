"""Pure: the script for a host, with the developers' turns, and its report."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from math import ceil
from pathlib import Path
from typing import Any

from mirrorfleet.jobs.verify import day, day_answers
from mirrorfleet.jobs.verify.facts import facts
from mirrorfleet.jobs.verify.targets import Target, TargetModel
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.rollout import CUSTOM_HEADERS
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
)
STREAM = ("--output-format", "stream-json", "--verbose")
TURNS = {
    "answer": ("-p", ANSWER, *STREAM, "--include-partial-messages"),
    "tool": ("-p", NOTE, *STREAM, "--allowedTools", "Bash(echo:*)", "Bash(tee:*)"),
    "subagent": ("-p", "/mirrorfleet-{agent}", *STREAM, "--forward-subagent-text"),
    "pasted": ("-p", "--input-format", "stream-json", *STREAM),
}
"""The calls of the client for a model. The first fills the prefix cache for the others."""

AT_ONCE = 4
"""Calls that ask.sh runs at the same time."""


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
    chosen = list(targets)
    if not chosen:
        return script(facts(plan))
    then = [
        f"shared() {{ cat <<'END OF WHAT ALL SHARE'\n{shared()}\nEND OF WHAT ALL SHARE\n}}",
        shell(HERE / "developer.sh"),
    ]
    for target in chosen:
        who = shlex.join([target.group, target.user, str(_seconds(target))])
        end = "END OF THE DEVELOPER"
        then.append(f"as_developer {who} <<'{end}'\n{developer_script(target)}\n{end}")
    return script(facts(plan), "\n".join(then))


def shared() -> str:
    """Return what the scripts of all developers begin with."""
    return f"pasted={shlex.quote(day.PASTED)}"


def timeout(targets: Iterable[Target]) -> int:
    """Return the timeout of a host in seconds: its developers come one after the other."""
    return 120 + sum(map(_seconds, targets))


def _seconds(target: Target) -> int:
    """Return the timeout of a developer: for the first calls and the others, in groups."""
    models = len(target.models)
    groups = (2 + models, (len(kinds(target)) - 1) * models, 20 * len(target.days))
    return LIMIT * sum(ceil(calls / AT_ONCE) + 1 for calls in groups)


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


def developer_script(target: Target) -> str:
    """Return the script that runs the turns of one developer, after ``shared``."""
    first, *others = kinds(target)
    agents = {_agent(target, model): model for model in target.models}
    foreign = {each.model: each.foreign for each in target.days}
    lines: list[list[str]] = [
        *(
            ["subagent", name, foreign.get(model.name) or "inherit"]
            for name, model in agents.items()
        ),
        ["turn", "version", "--version"],
        ["turn", "doctor", "doctor"],
        *(_turn(target, first, model) for model in target.models),
        ["wait"],
        *(_turn(target, kind, model) for kind in others for model in target.models),
    ]
    if target.days:
        lines += _requests(target)
    lines.append(["report"])
    ask = shell(HERE / "ask.sh", command=target.command, directory=target.directory, limit=LIMIT)
    return "\n".join([ask, *map(shlex.join, lines)])


def kinds(target: Target) -> tuple[str, ...]:
    """Return the kinds of turns of a target."""
    return target.kinds or tuple(TURNS)


def _requests(target: Target) -> Iterator[list[str]]:
    """Yield the lines that send the requests of a day; second turns come after all others."""
    environment = target.environment
    for name in day_answers.PROXIES:
        if name in environment:
            yield ["export", f"{name.lower()}={environment[name]}"]
    certificates = environment.get("NODE_EXTRA_CA_CERTS", "")
    url = target.url.rstrip("/")
    yield ["requests", url, day_answers.headers(environment), certificates]
    later = []
    for each in target.days:
        for number, (item, body) in enumerate(day_answers.requests(each)):
            line = ["request", f"{DAY}{number} {item}/{each.model}", body]
            if item == "second turn":
                later.append(line)
            else:
                yield line
    yield ["wait"]
    yield from later


DAY = "day "
"""The beginning of the names of requests: day, a number, the item, a slash and the model."""


def answers(turns: Mapping[str, Turn]) -> list[dict[str, Any]]:
    """Return what matters of the answers to the requests of a day, in their order."""
    found = []
    for name, turn in turns.items():
        if name.startswith(DAY):
            number, _, rest = name.removeprefix(DAY).partition(" ")
            item, _, model = rest.partition("/")
            answer = day_answers.answer(model, item, turn.code, turn.out, turn.err)
            found.append((int(number), answer))
    return [answer for _, answer in sorted(found, key=lambda each: each[0])]


def _turn(target: Target, kind: str, model: TargetModel) -> list[str]:
    option = ["--model", model.option] if model.option else []
    words = (word.format(agent=_agent(target, model)) for word in TURNS[kind])
    environment = {"CLAUDE_CODE_MAX_RETRIES": "1"}
    if target.base_url:
        environment["ANTHROPIC_BASE_URL"] = target.base_url
    if target.headers:
        environment[CUSTOM_HEADERS] = target.headers
    settings = json.dumps({"disableAllHooks": True, "env": environment})
    return ["turn", f"{kind} {model.name}", *words, *option, *COMMON, settings]


def _agent(target: Target, model: TargetModel) -> str:
    """Return the name of the skill and the agent for a model: names of models can have slashes."""
    return f"verify-{target.models.index(model) + 1}"


def events(turn: Turn) -> Iterator[dict[str, Any]]:
    """Yield the events that the client printed."""
    for line in turn.out.splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:
                continue  # truncated


def result_of(turn: Turn) -> dict[str, Any]:
    """Return the result of the client; empty without one."""
    return next((event for event in events(turn) if event.get("type") == "result"), {})


def _text(packed: str) -> str:
    try:
        return base64.b64decode(packed).decode(errors="replace")
    except ValueError:
        return ""
