"""Pure: from what a developer's turns printed to a line of the table, and why it fails."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mirrorfleet.jobs.verify.layers import MIRROR, Fault, Layer
from mirrorfleet.jobs.verify.questions import LIMIT, Told, Turn
from mirrorfleet.jobs.verify.seats import Line, Seat


@dataclass(frozen=True)
class Row:
    """A model as one developer has it; ``checks`` are "ok" or "failed", and the window."""

    seat: Seat
    line: Line
    checks: Mapping[str, str]
    faults: tuple[Fault, ...]


def rows(seat: Seat, told: Told | None, layers: Sequence[Layer]) -> list[Row]:
    """Return a line for each model of a developer; ``told`` is ``None`` where the host is mute."""
    who = (seat.group, seat.user)
    turns = told.turns.get(who, {}) if told else {}
    if told is None or not turns:
        cause = f"nobody could be asked as {seat.user}"
        remedy = f"See whether {seat.user} can log in on {seat.host}."
        fault = Fault("client", cause, remedy)
        return [Row(seat, line, {}, (fault,)) for line in seat.lines]
    program, directory = told.logins.get(who, ("", ""))
    common = list(_client(seat, turns, program, directory))
    own = {"client": "failed" if common else "ok"}
    found = []
    for line in seat.lines:
        checks, faults = dict(own), list(common)
        for kind, judge in JUDGES.items():
            turn = turns.get(f"{kind} {line.model}")
            whys = _failed(turn, seat, line, layers)
            if turn and not whys:
                whys = list(judge(turn, seat, line))
            checks[kind] = "failed" if whys else "ok"
            # Of what stopped it, a subagent does not tell; the answer before it has.
            if kind != "subagent" or checks["answer"] == "ok":
                faults += whys
        checks["window"] = str(_window(turns, line) or "?")
        found.append(Row(seat, line, checks, tuple(dict.fromkeys(faults))))
    return found


def _client(seat: Seat, turns: Mapping[str, Turn], program: str, directory: str) -> Iterator[Fault]:
    version = turns["version"].out.split(" ")[0].strip() if "version" in turns else ""
    if not program:
        yield Fault("client", f"{seat.user} has no command {seat.command}", MIRROR)
    elif version != seat.version:
        cause = f"{seat.command} is {program}, release {version or 'unknown'}, not {seat.version}"
        remedy = f"Remove it, or let /usr/local/bin come first in {seat.user}'s PATH."
        yield Fault("client", cause, remedy)
    if directory and seat.scope != "isolated":
        cause = f"settings ignored: {seat.user}'s login sets CLAUDE_CONFIG_DIR to {directory}"
        yield Fault("client", cause, "Remove that from the user's profile.")
    doctor = turns.get("doctor")
    if doctor and program and doctor.code:
        cause = f"claude doctor ends with {doctor.code}: {_last(doctor)}"
        yield Fault("client", cause, f"Run it as {seat.user} on {seat.host}.")
    elif doctor and (bad := INVALID.search(doctor.out)):
        for what in re.findall(r"^- (.*)", bad[1], re.MULTILINE):
            yield Fault("client", f"settings ignored: {what}", f"{MIRROR} Or mend it by hand.")


INVALID = re.compile(r"^Invalid settings\n((?:.+\n)+)", re.MULTILINE)


def _failed(turn: Turn | None, seat: Seat, line: Line, layers: Sequence[Layer]) -> list[Fault]:
    """Return why a turn came to no good end, if it did not."""
    if turn is None:
        return [Fault("client", "the client was not asked: the host took too long", "Ask again.")]
    result = _result(turn)
    if turn.code == 124:
        return _behind(line, layers) or [
            Fault("gateway", f"no answer within {LIMIT} s", "See what the engine is busy with.")
        ]
    if turn.code == 127:
        return [Fault("client", f"{seat.user} has no command {seat.command}", MIRROR)]
    if not result:
        return [Fault("client", f"the client says: {_last(turn)}", "Run it by hand.")]
    if not result.get("is_error"):
        return []
    return _refused(turn, result, seat, line, layers)


def _refused(
    turn: Turn, result: Mapping[str, Any], seat: Seat, line: Line, layers: Sequence[Layer]
) -> list[Fault]:
    status, said = result.get("api_error_status"), str(result.get("result", ""))
    if result.get("api_error") == "connection_failed" or status is None:
        return _down(layers) or [
            Fault(
                "network",
                f"gateway unreachable from {seat.host} at {seat.url}: {said}",
                "The gateways serve: look at DNS, firewalls and the proxy between them.",
            )
        ]
    if status == 401 and "apiKeyHelper" in said + turn.err:
        return [Fault("client", f"{seat.user}'s key cannot be read", MIRROR)]
    if status in (401, 403):
        cause = f"{status}: the gateway does not know {seat.user}'s key"
        return [Fault("gateway", cause, f"{MIRROR} It writes the key on both sides.")]
    if status in (400, 404) and UNKNOWN.search(said):
        return [Fault("gateway", f"the gateway knows no model '{line.model}'", MIRROR)]
    if TOO_LONG.search(said):
        cause = f"the engine's window is smaller than {seat.window}: {said}"
        return [Fault("engine", cause, MIRROR)]
    return _behind(line, layers) or [
        Fault("engine", f"{status}: {said}", "The journals of gateway and engine say more.")
    ]


UNKNOWN = re.compile(r"invalid model|model.* (not found|does not exist)", re.I)
TOO_LONG = re.compile(r"maximum context length|prompt is too long|context window", re.I)


def _down(layers: Sequence[Layer]) -> list[Fault]:
    """Return what is wrong with the first gateway that does not serve."""
    return [fault for layer in layers if layer.dead for fault in layer.faults][:1]


def _behind(line: Line, layers: Sequence[Layer]) -> list[Fault]:
    """Return what is wrong with the engines of a model, or else on the way to them."""
    engines = [layer for layer in layers if line.model in layer.models and layer.kind != "LiteLLM"]
    found = [fault for layer in engines for fault in layer.faults]
    if found:
        return found[:1]
    ways = [fault for layer in layers for fault in layer.faults if f"'{line.model}'" in fault.cause]
    return ways[:1]


def _answer(turn: Turn, seat: Seat, line: Line) -> Iterator[Fault]:
    used = _result(turn).get("modelUsage", {})
    if line.model not in used:
        others = ", ".join(used) or "nobody"
        cause = f"settings ignored: '{line.model}' was asked for, {others} answered"
        yield Fault(
            "client", cause, f"{MIRROR} Or a variable of {seat.user}'s shell says otherwise."
        )
    elif (window := used[line.model].get("contextWindow")) != seat.window:
        cause = (
            f"wrong window: the client believes in {window} for '{line.model}', not {seat.window}"
        )
        yield Fault("client", cause, MIRROR)


def _stream(turn: Turn, seat: Seat, line: Line) -> Iterator[Fault]:
    deltas = [
        event
        for event in _events(turn)
        if event.get("type") == "stream_event"
        and event.get("event", {}).get("type") == "content_block_delta"
    ]
    if len(deltas) < 2:
        cause = f"'{line.model}' does not stream: its answer came in {len(deltas)} piece"
        yield Fault("gateway", cause, "Something on the way holds answers back: a proxy's buffer?")


def _tool(turn: Turn, seat: Seat, line: Line) -> Iterator[Fault]:
    blocks = [block for event in _events(turn) for block in _blocks(event)]
    called = any(block.get("type") == "tool_use" for block in blocks)
    text = "".join(block.get("text", "") for block in blocks if block.get("type") == "text")
    if turn.made or called:
        return  # a call that the developer's permissions deny is a call
    if AS_TEXT.search(text):
        cause = f"the tool call of '{line.model}' came as text"
        remedy = (
            "The engine has the wrong tool parser: correct 'family' or 'tool_parser' of "
            f"models.{line.model}."
        )
        yield Fault("engine", cause, remedy)
    else:
        cause = f"'{line.model}' did not call the tool: {text[:80]!r}"
        yield Fault(
            "model", cause, "Ask again; a model that never does is of no use to Claude Code."
        )


AS_TEXT = re.compile(r'<tool_call>|<function=|<\|tool|\[TOOL_CALLS\]|"name"\s*:\s*"Bash"')


def _subagent(turn: Turn, seat: Seat, line: Line) -> Iterator[Fault]:
    ends = [e["status"] for e in _events(turn) if e.get("subtype") == "task_notification"]
    if "completed" not in ends:
        cause = f"a subagent does not come to its end: {', '.join(ends) or 'none was started'}"
        yield Fault("client", cause, f"Run claude -p with a subagent as {seat.user} by hand.")


JUDGES = {"answer": _answer, "stream": _stream, "tool": _tool, "subagent": _subagent}


def _window(turns: Mapping[str, Turn], line: Line) -> int | None:
    turn = turns.get(f"answer {line.model}")
    used = _result(turn).get("modelUsage", {}) if turn else {}
    window: int | None = used.get(line.model, {}).get("contextWindow")
    return window


def _blocks(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    if event.get("type") != "assistant":
        return []
    content = event["message"]["content"]
    return content if isinstance(content, list) else []


def _events(turn: Turn) -> Iterator[dict[str, Any]]:
    for line in turn.out.splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:
                continue  # cut off


def _result(turn: Turn) -> dict[str, Any]:
    return next((event for event in _events(turn) if event.get("type") == "result"), {})


def _last(turn: Turn) -> str:
    lines = [line for line in (turn.err or turn.out).splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"nothing, and ends with {turn.code}"
