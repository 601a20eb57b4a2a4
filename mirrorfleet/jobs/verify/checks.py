"""Pure: checks of a developer's turns: one row of the table per model, with its faults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mirrorfleet.jobs.verify.causes import model_faults, of_day, refused
from mirrorfleet.jobs.verify.day_outcomes import Outcome, outcomes
from mirrorfleet.jobs.verify.layers import MIRROR, Fault, Layer
from mirrorfleet.jobs.verify.targets import Target, TargetModel
from mirrorfleet.jobs.verify.turns import (
    LIMIT,
    HostReport,
    Turn,
    answers,
    events,
    kinds,
    result_of,
)


@dataclass(frozen=True)
class Row:
    """The result for one model of one developer.

    ``checks`` has the state of each check of the client, and the context window. ``day`` has the
    outcomes of the requests of a day. ``failed`` has the fault of each check that failed.
    """

    target: Target
    model: TargetModel
    checks: Mapping[str, str]
    faults: tuple[Fault, ...]
    day: tuple[Outcome, ...] = ()
    failed: Mapping[str, Fault] = field(default_factory=dict)


def rows(target: Target, report: HostReport | None, layers: Sequence[Layer]) -> list[Row]:
    """Return a row for each model of a developer; ``report`` is ``None`` without an answer."""
    who = (target.group, target.user)
    turns = report.turns.get(who, {}) if report else {}
    if report is None or not turns:
        cause = f"no client could be started as {target.user}"
        remedy = f"Check whether {target.user} can log in on {target.host}."
        fault = Fault("client", cause, remedy)
        return [Row(target, model, {}, (fault,)) for model in target.models]
    program, directory = report.logins.get(who, ("", ""))
    common = list(_client(target, turns, program, directory))
    own = {"client": "failed" if common else "ok"}
    days = {each.model: each for each in target.days}
    found_answers = answers(turns)
    found = []
    for model in target.models:
        checks, faults = dict(own), list(common)
        failed = {"client": common[0]} if common else {}
        for kind, check in CHECKS.items():
            if TURN.get(kind, kind) not in kinds(target):
                continue
            turn = turns.get(f"{TURN.get(kind, kind)} {model.name}")
            failures = _failed(turn, target, model, layers)
            if turn and not failures:
                failures = list(check(turn, target, model))
            checks[kind] = "failed" if failures else "ok"
            if failures:
                failed[kind] = failures[0]
            # A subagent does not report why it stopped; a failed answer shows the reason.
            if kind != "subagent" or checks.get("answer") == "ok":
                faults += failures
        known = days.get(model.name)
        if known and checks.get("pasted") == "ok" and not (known.vision and known.documents):
            checks["pasted"] = "mended"
        checks["window"] = str(_window(turns, model) or "?")
        parts = tuple(outcomes(known, found_answers)) if known else ()
        for outcome in parts:
            if outcome.state == "failed":
                failed[outcome.item] = of_day(outcome, target, model, layers)
                faults.append(failed[outcome.item])
        found.append(Row(target, model, checks, tuple(dict.fromkeys(faults)), parts, failed))
    return found


def _client(
    target: Target, turns: Mapping[str, Turn], program: str, directory: str
) -> Iterator[Fault]:
    version = turns["version"].out.split(" ")[0].strip() if "version" in turns else ""
    if not program:
        yield Fault("client", f"{target.user} has no command {target.command}", MIRROR)
    elif version != target.version:
        cause = (
            f"{target.command} is {program}, release {version or 'unknown'}, not {target.version}"
        )
        remedy = f"Remove it, or put /usr/local/bin first in {target.user}'s PATH."
        yield Fault("client", cause, remedy)
    if directory and target.scope != "isolated":
        cause = f"settings ignored: {target.user}'s login sets CLAUDE_CONFIG_DIR to {directory}"
        yield Fault("client", cause, "Remove that from the user's profile.")
    doctor = turns.get("doctor")
    if doctor and program and doctor.code:
        cause = f"claude doctor ends with {doctor.code}: {_last(doctor)}"
        yield Fault("client", cause, f"Run it as {target.user} on {target.host}.")
    elif doctor and (bad := INVALID.search(doctor.out)):
        for what in re.findall(r"^- (.*)", bad[1], re.MULTILINE):
            yield Fault("client", f"settings ignored: {what}", f"{MIRROR} Or correct it by hand.")


INVALID = re.compile(r"^Invalid settings\n((?:.+\n)+)", re.MULTILINE)


def _failed(
    turn: Turn | None, target: Target, model: TargetModel, layers: Sequence[Layer]
) -> list[Fault]:
    """Return why a turn failed; none if it succeeded."""
    if turn is None:
        return [
            Fault("client", "the client was not run: the host took too long", "Run verify again.")
        ]
    result = result_of(turn)
    if turn.code == 124:
        return model_faults(model, layers) or [
            Fault("gateway", f"no answer within {LIMIT} s", "Check the load of the engine.")
        ]
    if turn.code == 127:
        return [Fault("client", f"{target.user} has no command {target.command}", MIRROR)]
    if not result:
        return [Fault("client", f"the client reports: {_last(turn)}", "Run it by hand.")]
    if not result.get("is_error"):
        return []
    return refused(turn, result, target, model, layers)


def _answer(turn: Turn, target: Target, model: TargetModel) -> Iterator[Fault]:
    used = result_of(turn).get("modelUsage", {})
    if model.name not in used:
        others = ", ".join(used) or "no model"
        cause = f"settings ignored: the request was for '{model.name}', but {others} answered"
        yield Fault(
            "client",
            cause,
            f"{MIRROR} Or remove a variable of {target.user}'s shell that overrides it.",
        )
    elif model.option and "claude" in model.name:
        return  # the client has windows of its own for these ids
    elif (window := used[model.name].get("contextWindow")) != target.window:
        cause = f"wrong window: the client has {window} for '{model.name}', not {target.window}"
        yield Fault("client", cause, MIRROR)


def _stream(turn: Turn, target: Target, model: TargetModel) -> Iterator[Fault]:
    deltas = [
        event
        for event in events(turn)
        if event.get("type") == "stream_event"
        and event.get("event", {}).get("type") == "content_block_delta"
    ]
    if len(deltas) < 2:
        cause = f"'{model.name}' does not stream: its answer arrived in {len(deltas)} piece"
        yield Fault("gateway", cause, "Check whether a proxy buffers answers.")


def _tool(turn: Turn, target: Target, model: TargetModel) -> Iterator[Fault]:
    blocks = [block for event in events(turn) for block in _blocks(event)]
    called = any(block.get("type") == "tool_use" for block in blocks)
    text = "".join(block.get("text", "") for block in blocks if block.get("type") == "text")
    if turn.made or called:
        return  # a call that the developer's permissions deny counts as well
    if AS_TEXT.search(text):
        cause = f"the tool call of '{model.name}' came as text"
        remedy = (
            "The engine has the wrong tool parser: correct 'family' or 'tool_parser' of "
            f"models.{model.name}."
        )
        yield Fault("engine", cause, remedy)
    else:
        cause = f"'{model.name}' did not call the tool: {text[:80]!r}"
        yield Fault(
            "model",
            cause,
            "Run verify again; Claude Code cannot use a model that never calls tools.",
        )


AS_TEXT = re.compile(r'<tool_call>|<function=|<\|tool|\[TOOL_CALLS\]|"name"\s*:\s*"Bash"')


def _subagent(turn: Turn, target: Target, model: TargetModel) -> Iterator[Fault]:
    ends = [e["status"] for e in events(turn) if e.get("subtype") == "task_notification"]
    if "completed" not in ends:
        cause = f"a subagent does not complete: {', '.join(ends) or 'none was started'}"
        yield Fault("client", cause, f"Run claude -p with a subagent as {target.user} by hand.")


def _pasted(turn: Turn, target: Target, model: TargetModel) -> Iterator[Fault]:
    if not result_of(turn).get("result"):
        cause = f"'{model.name}' gives no answer after a screenshot and a PDF"
        yield Fault("gateway", cause, "See the journals of gateway and engine.")


CHECKS = {
    "answer": _answer,
    "stream": _stream,
    "tool": _tool,
    "subagent": _subagent,
    "pasted": _pasted,
}
TURN = {"stream": "answer"}
"""The call of the client that a check evaluates, if it has another name."""


def _window(turns: Mapping[str, Turn], model: TargetModel) -> int | None:
    turn = turns.get(f"answer {model.name}")
    used = result_of(turn).get("modelUsage", {}) if turn else {}
    window: int | None = used.get(model.name, {}).get("contextWindow")
    return window


def seconds_of(turns: Mapping[str, Turn], model: TargetModel) -> float:
    """Return the seconds of the answer of a model; 0 without one."""
    turn = turns.get(f"answer {model.name}")
    milliseconds = result_of(turn).get("duration_ms") if turn else None
    return milliseconds / 1000 if isinstance(milliseconds, int | float) else 0


def _blocks(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    if event.get("type") != "assistant":
        return []
    content = event["message"]["content"]
    return content if isinstance(content, list) else []


def _last(turn: Turn) -> str:
    lines = [line for line in (turn.err or turn.out).splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"no output, and exit code {turn.code}"
