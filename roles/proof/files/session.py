"""The proof of more than one turn: ask an engine what a session of Claude Code sends later.

The first turn offers tools. The turns after it bring a tool result, a result of a tool search, an
image, a system message in mid-conversation, thinking and effort, and a long prompt twice. Each is
asked whole and streamed. The roles' programs run it on hosts, with the standard library only; the
shell passes them to Python as text (``program`` in roles/proof). What the engine does not take is
``mended`` if the client's settings or the gateway keep it from the engine, else ``failed``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mirrorfleet.roles.proof.files import turns
from mirrorfleet.roles.proof.files.api import CUT, Api, NotReady, Refused, counter, label, tokens

Json = dict[str, Any]

TRIES = 3
"""Attempts: a model may answer in prose, and call the tool at the next attempt."""

LONG = 20_000
"""Tokens of the repeated prompt, like Claude Code's first one; at most half the window."""

PATIENCE = 120
"""Maximum seconds for the answer to the repeated prompt. A slower engine is not measured."""

TURNS: Json = {
    "on": {"thinking": {"type": "adaptive"}},
    "off": {"thinking": {"type": "disabled"}},
    "efforts": {},
}
"""Parameters for thinking and effort, if the gateway passes on what Claude Code sends."""

LIMIT = 240
"""Seconds after the first turn in which further turns begin: a slow engine is asked fewer."""

GOOD = 0.5
"""The least share of a repeated prompt that a working prefix cache has."""

# Text of a call that the parser did not recognize, in the formats of models.
UNPARSED = re.compile(
    r"<[^\s>]{0,20}(?:tool|function|invoke|call)"
    r'|\[TOOL_CALLS|"name"\s*:\s*"Bash"|"command"\s*:|functions?\.Bash|Bash\(command'
)

THOUGHTS = re.compile(r"</?(?:seed:)?think(?:ing)?>|<\|channel\|>|◁/?think▷|\[/?THINK\]")
"""Marks of thinking that a reasoning parser removes from the text of an answer."""


class Failure(Exception):
    """What the engine does not take, and the name of its remedy."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


@dataclass(frozen=True)
class Outcome:
    """The outcome of a part of the session: ok, mended, warning, failed, not asked, not reported.

    ``note`` is short. A failure has a ``cause`` and a ``remedy`` in sentences.
    """

    item: str
    state: str
    note: str = ""
    cause: str = ""
    remedy: str = ""


class Session:
    """A session with an engine.

    ``expected`` has the abilities of the model (``tools``, ``parser``, ``vision``, ``thinking``,
    ``turns``), its ``context``, what is ``kept`` from the engine by whom, and ``remedies``.
    ``tries``: attempts at a tool call; ``forces``: the engine supports ``tool_choice``.
    """

    def __init__(self, api: Api, expected: Json) -> None:
        self.api = api
        self.expected = expected
        self.tries: int = expected.get("tries", TRIES)
        self.turns = {**TURNS, **expected.get("turns", {})}
        thinks = expected.get("thinking", "none") != "none"
        self.start = turns.opening(
            tools=bool(expected["tools"]), thinking=self.turns["on"] if thinks else {}
        )
        self.reports_cache = False
        self.tokens_per_character = 0.0

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcomes of all turns. Raises ``NotReady`` and ``OSError``."""
        parts: list[tuple[str, Callable[[], Outcome]]] = [
            ("tool call", self.tool_call),
            ("tool result", self.result),
            ("tool reference", self.reference),
            ("image", self.image),
            ("system message", self.reminder),
            ("thinking on", self.thinking_on),
            ("thinking off", self.thinking_off),
            ("effort", self.effort),
            ("prompt cache", self.prompt_cache),
        ]
        began = 0.0
        for item, part in parts:
            if began and time.monotonic() - began > LIMIT:
                yield Outcome(item, "warning", f"not asked: the engine is slow ({LIMIT} s)")
            else:
                yield self.outcome(item, part)
            began = began or time.monotonic()

    def outcome(self, item: str, part: Callable[[], Outcome]) -> Outcome:
        """Return the outcome of a part, also if the engine does not take it."""
        try:
            return part()
        except Refused as refused:
            how = f"{refused.status}: " if refused.status != 200 else ""
            failure = Failure(f"refuses {_turn(item)} ({how}{refused.reason})", item)
        except Failure as found:
            failure = found
        if by := self.expected.get("kept", {}).get(item):
            return Outcome(item, "mended", by, failure.cause)
        remedies = self.expected.get("remedies", {})
        remedy = remedies.get(failure.remedy) or remedies.get(item) or "See the engine's log."
        return Outcome(item, "failed", "", failure.cause, remedy)

    def ask(self, body: Json) -> tuple[Json, Json]:
        """Return the answers to a turn, whole and streamed."""
        whole, streamed = (self.api.message(body, streamed=each) for each in (False, True))
        count, cached = tokens(whole)
        self.reports_cache = self.reports_cache or cached is not None
        self.tokens_per_character = count / turns.size(body)
        return whole, streamed

    # The first turn.

    def tool_call(self) -> Outcome:
        """Have the model call a tool by its own choice: only such a call uses the parser."""
        item = "tool call"
        if not self.expected["tools"]:
            answers = self.ask(self.start)
            if not all(answer["content"] for answer in answers):
                raise Failure("returns an empty answer", item)
            return Outcome(item, "not asked", "the model has no tools")
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
            text = _text(message)
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
                f"calls a tool with stop_reason '{message.get('stop_reason')}' ({mode}): Claude "
                "Code would not run it",
                "stop",
            )
        return given

    # Later turns.

    def result(self) -> Outcome:
        self.ask(turns.result(self.start, tools=self.expected["tools"]))
        return Outcome("tool result", "ok")

    def reference(self) -> Outcome:
        """Ask with the references to two tools: a prompt that has them has two lengths."""
        item = "tool reference"
        if not self.expected["tools"]:
            return Outcome(item, "not asked", "the model has no tools")
        short, long = (
            tokens(self.api.message(turns.reference(self.start, name), streamed=at == 1))[0]
            for at, name in enumerate(turns.DEFERRED)
        )
        if short and short == long:
            raise Failure(
                "drops a tool reference: the model does not see which tool was found", item
            )
        return Outcome(item, "ok")

    def image(self) -> Outcome:
        if not self.expected.get("vision"):
            return Outcome("image", "not asked", "the model does not read images")
        self.ask(turns.image(self.start, tools=self.expected["tools"]))
        return Outcome("image", "ok")

    def reminder(self) -> Outcome:
        self.ask(turns.reminder(self.start))
        return Outcome("system message", "ok")

    # Thinking.

    def thinking_on(self) -> Outcome:
        item = "thinking on"
        if self.expected.get("thinking", "none") == "none":
            return Outcome(item, "not asked", "the model does not think")
        answers = self.ask(self.start)
        if any(THOUGHTS.search(_text(answer)) for answer in answers):
            raise Failure("thinks in the text of its answer", "thoughts")
        thinks = any(map(_thinks, answers))
        return Outcome(item, "ok", "" if thinks else "it begins without thinking")

    def thinking_off(self) -> Outcome:
        item, mode = "thinking off", self.expected.get("thinking", "none")
        if mode == "none":
            return Outcome(item, "not asked", "the model does not think")
        answers = self.ask(turns.with_thinking(self.start, self.turns["off"]))
        if mode == "always":
            return Outcome(item, "ok", "accepted; the model always thinks")
        if any(_thinks(answer) or THOUGHTS.search(_text(answer)) for answer in answers):
            raise Failure("thinks although the request turns thinking off", "still thinks")
        return Outcome(item, "ok", "no thinking in the answer")

    def effort(self) -> Outcome:
        levels, refused = self.turns["efforts"], {}
        if self.expected.get("thinking", "none") == "none" or not levels:
            return Outcome("effort", "not asked", "the model has no levels of effort")
        for level, parameters in levels.items():
            body = turns.with_thinking(self.start, parameters)
            try:
                self.api.message(body, streamed=True)
            except Refused as error:
                refused[level] = error.reason
        if refused:
            which, why = ", ".join(refused), next(iter(refused.values()))
            raise Failure(f"refuses effort {which} ({why})", "effort")
        return Outcome("effort", "ok", ", ".join(levels))

    # The prefix cache.

    def prompt_cache(self) -> Outcome:
        """Send a long prompt twice: the second must hit the prefix cache."""
        item, metrics = "prompt cache", self.api.metrics()
        if not self.reports_cache and counter(metrics, HITS) is None:
            return Outcome(item, "not reported", "the engine has no figures of its cache")
        body = self._long(min(LONG, self.expected["context"] // 2))
        began = time.monotonic()
        try:
            self._hits(body)
            first = time.monotonic() - began
            count = 0
            for _ in range(TRIES):
                hits, count = self._hits(body)
                if hits:
                    break
        except TimeoutError:
            return Outcome(item, "warning", f"no answer to {LONG} tokens within {PATIENCE} s")
        rate = hits / count if count else 0.0
        note = f"{rate:.0%} of {count} tokens, after {first:.1f} s"
        if rate >= GOOD:
            return Outcome(item, "ok", note)
        if hits:
            return Outcome(item, "warning", note)
        raise self._never(count)

    def _long(self, desired: int) -> Json:
        """Return the turn with a prompt of this many tokens, as near as the engine counts."""
        sample = turns.long(self.start, 2000)
        counted = self.api.count(sample) or self.tokens_per_character * turns.size(sample)
        return turns.long(self.start, int(2000 * desired * 0.98 / max(counted, 1)))

    def _hits(self, body: Json) -> tuple[float, int]:
        """Return how many tokens of a prompt the cache had, and the tokens of the prompt."""
        before = self.api.metrics()
        answer = self.api.message(body, streamed=False, seconds=PATIENCE)
        count, cached = tokens(answer)
        if cached is not None:
            return cached, count
        after = self.api.metrics()
        return max(0.0, (counter(after, HITS) or 0) - (counter(before, HITS) or 0)), count

    def _never(self, count: int) -> Failure:
        metrics = self.api.metrics()
        cause = f"computes a prompt of {count} tokens again, which it has just answered"
        if label(metrics, "enable_prefix_caching") == "False":
            return Failure(f"{cause}: its prefix cache is off", "cache off")
        block = label(metrics, "block_size")
        if block.isdecimal() and int(block) > count:
            return Failure(f"{cause}: a block of its cache has {block} tokens", "cache block")
        return Failure(f"{cause}: its prefix cache is never hit", "prompt cache")


HITS = "vllm:prefix_cache_hits"


def lines(name: str, outcomes: list[Outcome]) -> Iterator[str]:
    """Yield a line of the report for each part that was asked."""
    for outcome in outcomes:
        if outcome.state == "not asked":
            continue
        note = f", {outcome.note}" if outcome.note else ""
        yield f"{name}: {outcome.item:<15}{outcome.state}{note}"


def failures(name: str, outcomes: list[Outcome]) -> Iterator[str]:
    """Yield a message for each failure, with its remedy."""
    for outcome in outcomes:
        if outcome.state == "failed":
            yield f"{name}: {outcome.cause}. {outcome.remedy}"


def record(outcomes: list[Outcome], seconds: float) -> Json:
    """Return the record of a session, which ``mirrorfleet verify`` shows."""
    parts = [{"item": each.item, "state": each.state, "note": each.note} for each in outcomes]
    return {"seconds": round(seconds, 1), "outcomes": parts}


def _turn(item: str) -> str:
    return {
        "tool call": "a request with tools",
        "tool result": "a conversation with a tool result",
        "tool reference": "a tool reference in a result",
        "image": "an image",
        "system message": "a system message in mid-conversation",
        "thinking on": "a request with thinking",
        "thinking off": "a request that turns thinking off",
        "prompt cache": "a long prompt",
    }[item]


def _parser(expected: Json) -> str:
    return f"the parser '{expected['parser']}'" if expected.get("parser") else "its parser"


def _text(message: Json) -> str:
    return " ".join(block.get("text") or "" for block in message["content"]).strip()


def _thinks(message: Json) -> bool:
    return any(block["type"] == "thinking" for block in message["content"])


__all__ = ["Failure", "NotReady", "Outcome", "Session", "failures", "lines", "record"]
