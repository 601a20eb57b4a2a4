"""The first turn of the session: the model calls a tool, whole and streamed.

A part of the proof, which runs on hosts with the standard library only: see session.py.
"""

from __future__ import annotations

import re
from typing import Any

from mirrorfleet.roles.proof.files import turns
from mirrorfleet.roles.proof.files.api import CUT, Api, Refused, text_of
from mirrorfleet.roles.proof.files.outcome import Failure, Outcome

Json = dict[str, Any]

TRIES = 3
"""Attempts: a model may answer in prose, and call the tool at the next attempt."""

# Text of a call that the parser did not recognize, in the formats of models.
UNPARSED = re.compile(
    r"<[^\s>]{0,20}(?:tool|function|invoke|call)"
    r'|\[TOOL_CALLS|"name"\s*:\s*"Bash"|"command"\s*:|functions?\.Bash|Bash\(command'
)


class ToolCall:
    """The first turn: ``start`` as the client sends it, with tools."""

    def __init__(self, api: Api, expected: Json, start: Json) -> None:
        self.api = api
        self.expected = expected
        self.start = start
        self.tries: int = expected.get("tries", TRIES)

    def outcome(self) -> Outcome:
        """Have the model call a tool by its own choice: only such a call uses the parser."""
        item = "tool call"
        calls: list[Any] = []
        for _ in range(self.tries):
            calls = [self._called(streamed=each) for each in (False, True)]
            if isinstance(calls[0], str) or isinstance(calls[1], str):
                text = next(call for call in calls if isinstance(call, str))
                cause = f"answers {self.tries} requests for a tool call with text ({text[:80]!r})"
                return Outcome(item, "warning", "the model answers with text", cause)
            if calls[0] == calls[1]:
                return Outcome(item, "ok", "the same whole and streamed")
        raise Failure(
            f"calls a tool with {calls[0]!r}, but in a stream {_parser(self.expected)} makes "
            f"{calls[1]!r} of it",
            "stream",
        )

    def _called(self, *, streamed: bool) -> Any:
        """Return the input of a parsed call; the text of an answer without one."""
        mode = "streamed" if streamed else "not streamed"
        # Streams come second: what fails only there is a fault of the parser's other half.
        remedy, parser = ("stream" if streamed else "call"), _parser(self.expected)
        room = min(self.expected.get("room", turns.CALL), self.expected["context"] // 2)
        body, text = {**self.start, "max_tokens": room}, ""
        for _ in range(self.tries):
            try:
                message = self.api.message(body, streamed=streamed)
            except Refused as refused:
                if not streamed:
                    raise
                if refused.reason == CUT:
                    raise Failure("ends a stream before its last event", "cut") from None
                cause = f"answers a call in a stream with an error ({refused.reason})"
                raise Failure(cause, remedy) from None
            text = text_of(message)
            calls = [block for block in message["content"] if block["type"] == "tool_use"]
            if calls:
                return self._checked(calls[0], message, mode, remedy)
            if UNPARSED.search(text) or (not text and message.get("stop_reason") != "max_tokens"):
                when = "recognizes only calls that are not streamed"
                when = when if streamed else f"does not recognize the call ({mode})"
                cause = f"calls a tool, but {parser} {when}: the answer is {text[:200]!r}"
                raise Failure(cause, remedy)
        if not self.expected.get("forces", True):
            return text
        forced = {**body, "tool_choice": {"type": "tool", "name": turns.NAME}}
        message = self.api.message(forced, streamed=streamed)
        if not any(block["type"] == "tool_use" for block in message["content"]):
            raise Failure(
                f"calls no tool, even if forced to ({mode}): its answer is {text[:200]!r}",
                "no call",
            )
        return text

    def _checked(self, call: Json, message: Json, mode: str, remedy: str) -> Any:
        given = call.get("input")
        if call["name"] != turns.NAME or not isinstance(given, dict) or "command" not in given:
            raise Failure(
                f"calls a tool, but {_parser(self.expected)} returns {call['name']!r} with "
                f"{given!r} ({mode})",
                remedy,
            )
        if message.get("stop_reason") != "tool_use":
            raise Failure(
                f"calls a tool with stop_reason {message.get('stop_reason')!r} ({mode}): Claude "
                "Code would not run it",
                "stop",
            )
        return given


def _parser(expected: Json) -> str:
    return f"the parser '{expected['parser']}'" if expected.get("parser") else "its parser"
