"""Pure: what is asked of a host, as one script, and what it answered."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.jobs.verify import running
from mirrorfleet.jobs.verify.facts import KeyedAnswer
from mirrorfleet.jobs.verify.seats import Line, Seat
from mirrorfleet.planning import EnginePlan, HostPlan, LitellmPlan, Route, http
from mirrorfleet.runtime.facts import Answer, Fact, Unit
from mirrorfleet.runtime.observe import Observation, parse, script
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.shell import shell

HERE = Path(__file__).parent

LIMIT = 120
"""Seconds for one call of the client: a model on a cold engine takes its time."""

ANSWER = "Count from one to twenty, in words."
NOTE = "Please leave a note: with the Bash tool, run `echo hello | tee mirrorfleet-note.txt`."

# No hooks and servers of the developer's own, nothing kept; and what fails is told soon.
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
    """One call of the client: how it ended, whether the note is there, and what it printed."""

    code: int
    made: bool
    out: str
    err: str


@dataclass(frozen=True)
class Told:
    """What a host told: how it was found, and each developer's turns, by group and user.

    ``logins`` has, for each, which program the command is and the value of CLAUDE_CONFIG_DIR.
    """

    observed: Observation
    turns: Mapping[tuple[str, str], Mapping[str, Turn]] = field(default_factory=dict)
    logins: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)


def asked(plan: HostPlan, seats: Iterable[Seat]) -> str:
    """Return the script for a host: its services first, then its developers."""
    then = [shell(HERE / "developer.sh"), *(_seat(seat) for seat in seats)]
    return script(facts(plan), "\n".join(then))


def patience(seats: Iterable[Seat]) -> int:
    """Return the seconds that a host may take: all that its developers' turns may."""
    return 120 + LIMIT * sum(2 + len(TURNS) * len(seat.lines) for seat in seats)


def told(services_facts: Iterable[Fact[Any]], lines: Iterable[str]) -> Told:
    """Read what a host printed about the facts of its services, and about its developers.

    Raises ``ValueError`` for lines that no script prints.
    """
    lines = list(lines)
    services = list(takewhile(lambda line: not line.startswith("developer\t"), lines))
    turns: dict[tuple[str, str], dict[str, Turn]] = {}
    logins: dict[tuple[str, str], tuple[str, str]] = {}
    who = ("", "")
    for line in lines[len(services) :]:
        match line.split("\t"):
            case ["developer", group, user]:
                who = (group, user)
                turns[who] = {}
            case ["login", program, directory]:
                logins[who] = (program, directory)
            case ["turn", name, code, made, out, err] if code.isdecimal():
                turns[who][name] = Turn(int(code), made == "yes", _text(out), _text(err))
            case _:
                pass  # a login shell may greet
    return Told(parse(services_facts, services), turns, logins)


def engine_models(engine: EnginePlan) -> Fact[bytes | None]:
    """Return the fact of the models that an engine lists."""
    url = f"{http(engine.listen, engine.port)}{ENGINES[engine.engine].models_path}"
    variable = ENGINES[engine.engine].key_variable
    if not variable:
        return Answer(url)
    unit = engine_unit(engine)
    return KeyedAnswer(f"{ROOT}/{engine.service}", variable, url, unit, engine.port)


def engine_unit(engine: EnginePlan) -> str:
    """Return the unit of an engine."""
    return f"mirrorfleet-{engine.service}.service"


def readiness_url(gateway: LitellmPlan) -> str:
    """Return where a gateway says that it is ready."""
    return f"{_base(gateway)}/health/readiness"


def gateway_models(gateway: LitellmPlan) -> KeyedAnswer:
    """Return the fact of the models that a gateway lists."""
    return KeyedAnswer(
        directory=f"{ROOT}/litellm",
        variable="LITELLM_MASTER_KEY",
        url=f"{_base(gateway)}/v1/models",
        unit="mirrorfleet-litellm.service",
        port=gateway.port,
    )


def _base(gateway: LitellmPlan) -> str:
    """Return the URL at which a gateway's own host asks it."""
    listen = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(gateway.listen, gateway.listen)
    return http(listen, gateway.port)


def reached(gateway: LitellmPlan) -> Iterator[tuple[Route, str]]:
    """Yield each route to an engine, with the URL that answers without a key if the gateway
    reaches it."""
    for route in gateway.routes:
        if route.engine and not route.running:
            engine = ENGINES[route.engine]
            base = route.settings["api_base"].removesuffix(engine.api_path)
            yield route, f"{base}{engine.alive_path}"


def facts(plan: HostPlan) -> Iterator[Fact[Any]]:
    """Yield what must be known of the services of a host."""
    for engine in plan.engines:
        yield Unit(engine_unit(engine))
        if engine.is_head:
            yield engine_models(engine)
    if plan.gateway:
        yield Unit("mirrorfleet-litellm.service")
        yield Answer(readiness_url(plan.gateway))
        yield gateway_models(plan.gateway)
        yield from (Answer(url) for _, url in reached(plan.gateway))
        yield from running.facts(plan.gateway)


def _seat(seat: Seat) -> str:
    calls = [
        ["turn", "version", "--version"],
        ["turn", "doctor", "doctor"],
        *(_turn(kind, line) for line in seat.lines for kind in TURNS),
    ]
    asked = [seat.group, seat.user, str(LIMIT * len(calls))]
    ask = shell(HERE / "ask.sh", command=seat.command, directory=seat.directory, limit=LIMIT)
    return "\n".join(
        [
            f"as_developer {shlex.join(asked)} <<'END OF THE DEVELOPER'",
            ask,
            *map(shlex.join, calls),
            "END OF THE DEVELOPER",
        ]
    )


def _turn(kind: str, line: Line) -> list[str]:
    model = ["--model", line.asked] if line.asked else []
    return ["turn", f"{kind} {line.model}", *TURNS[kind], *model, *COMMON]


def _text(packed: str) -> str:
    try:
        return base64.b64decode(packed).decode(errors="replace")
    except ValueError:
        return ""
