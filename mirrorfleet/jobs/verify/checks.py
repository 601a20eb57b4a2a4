"""Pure: checks of a developer's turns: one row of the table per model, with its faults."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mirrorfleet.jobs.verify.layers import MIRROR, Fault, Layer
from mirrorfleet.jobs.verify.targets import Target, TargetModel
from mirrorfleet.jobs.verify.turns import LIMIT, HostReport, Turn


@dataclass(frozen=True)
class Row:
    """The result for one model of one developer.

    ``checks`` has "ok" or "failed" for each check, and the context window.
    """

    target: Target
    model: TargetModel
    checks: Mapping[str, str]
    faults: tuple[Fault, ...]


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
    found = []
    for model in target.models:
        checks, faults = dict(own), list(common)
        for kind, check in CHECKS.items():
            turn = turns.get(f"{kind} {model.name}")
            failures = _failed(turn, target, model, layers)
            if turn and not failures:
                failures = list(check(turn, target, model))
            checks[kind] = "failed" if failures else "ok"
            # A subagent does not report why it stopped; a failed answer shows the reason.
            if kind != "subagent" or checks["answer"] == "ok":
                faults += failures
        checks["window"] = str(_window(turns, model) or "?")
        found.append(Row(target, model, checks, tuple(dict.fromkeys(faults))))
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
    result = _result(turn)
    if turn.code == 124:
        return _model_faults(model, layers) or [
            Fault("gateway", f"no answer within {LIMIT} s", "Check the load of the engine.")
        ]
    if turn.code == 127:
        return [Fault("client", f"{target.user} has no command {target.command}", MIRROR)]
    if not result:
        return [Fault("client", f"the client reports: {_last(turn)}", "Run it by hand.")]
    if not result.get("is_error"):
        return []
    return _refused(turn, result, target, model, layers)


def _refused(
    turn: Turn,
    result: Mapping[str, Any],
    target: Target,
    model: TargetModel,
    layers: Sequence[Layer],
) -> list[Fault]:
    status, message = result.get("api_error_status"), str(result.get("result", ""))
    if result.get("api_error") == "connection_failed" or status is None:
        return _gateway_faults(layers) or [
            Fault(
                "network",
                f"gateway unreachable from {target.host} at {target.url}: {message}",
                "The gateways serve: check DNS, firewalls and proxies between them.",
            )
        ]
    if status == 401 and "apiKeyHelper" in message + turn.err:
        return [Fault("client", f"{target.user}'s key cannot be read", MIRROR)]
    if status in (401, 403):
        cause = f"{status}: the gateway rejects {target.user}'s key"
        return [Fault("gateway", cause, f"{MIRROR} It writes the key on both sides.")]
    if status in (400, 404) and UNKNOWN.search(message):
        return [Fault("gateway", f"the gateway does not have the model '{model.name}'", MIRROR)]
    if TOO_LONG.search(message):
        cause = f"the engine's window is smaller than {target.window}: {message}"
        return [Fault("engine", cause, MIRROR)]
    return _model_faults(model, layers) or [
        Fault("engine", f"{status}: {message}", "See the journals of gateway and engine.")
    ]


UNKNOWN = re.compile(r"invalid model|model.* (not found|does not exist)", re.I)
TOO_LONG = re.compile(r"maximum context length|prompt is too long|context window", re.I)


def _gateway_faults(layers: Sequence[Layer]) -> list[Fault]:
    """Return the first fault of a gateway that does not answer."""
    return [fault for layer in layers if layer.dead for fault in layer.faults][:1]


def _model_faults(model: TargetModel, layers: Sequence[Layer]) -> list[Fault]:
    """Return a fault of the engines of a model, or of the connections to them."""
    engines = [layer for layer in layers if model.name in layer.models and layer.kind != "LiteLLM"]
    found = [fault for layer in engines for fault in layer.faults]
    if found:
        return found[:1]
    connections = [
        fault for layer in layers for fault in layer.faults if f"'{model.name}'" in fault.cause
    ]
    return connections[:1]


def _answer(turn: Turn, target: Target, model: TargetModel) -> Iterator[Fault]:
    used = _result(turn).get("modelUsage", {})
    if model.name not in used:
        others = ", ".join(used) or "no model"
        cause = f"settings ignored: the request was for '{model.name}', but {others} answered"
        yield Fault(
            "client",
            cause,
            f"{MIRROR} Or remove a variable of {target.user}'s shell that overrides it.",
        )
    elif (window := used[model.name].get("contextWindow")) != target.window:
        cause = f"wrong window: the client has {window} for '{model.name}', not {target.window}"
        yield Fault("client", cause, MIRROR)


def _stream(turn: Turn, target: Target, model: TargetModel) -> Iterator[Fault]:
    deltas = [
        event
        for event in _events(turn)
        if event.get("type") == "stream_event"
        and event.get("event", {}).get("type") == "content_block_delta"
    ]
    if len(deltas) < 2:
        cause = f"'{model.name}' does not stream: its answer arrived in {len(deltas)} piece"
        yield Fault("gateway", cause, "Check whether a proxy buffers answers.")


def _tool(turn: Turn, target: Target, model: TargetModel) -> Iterator[Fault]:
    blocks = [block for event in _events(turn) for block in _blocks(event)]
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
    ends = [e["status"] for e in _events(turn) if e.get("subtype") == "task_notification"]
    if "completed" not in ends:
        cause = f"a subagent does not complete: {', '.join(ends) or 'none was started'}"
        yield Fault("client", cause, f"Run claude -p with a subagent as {target.user} by hand.")


CHECKS = {"answer": _answer, "stream": _stream, "tool": _tool, "subagent": _subagent}


def _window(turns: Mapping[str, Turn], model: TargetModel) -> int | None:
    turn = turns.get(f"answer {model.name}")
    used = _result(turn).get("modelUsage", {}) if turn else {}
    window: int | None = used.get(model.name, {}).get("contextWindow")
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
                continue  # truncated


def _result(turn: Turn) -> dict[str, Any]:
    return next((event for event in _events(turn) if event.get("type") == "result"), {})


def _last(turn: Turn) -> str:
    lines = [line for line in (turn.err or turn.out).splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"no output, and exit code {turn.code}"
