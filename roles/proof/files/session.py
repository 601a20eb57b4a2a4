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
from typing import Any

from mirrorfleet.roles.proof.files import turns
from mirrorfleet.roles.proof.files.api import Api, Refused, text_of, tokens
from mirrorfleet.roles.proof.files.outcome import Failure, Outcome
from mirrorfleet.roles.proof.files.prompt_cache import PromptCache
from mirrorfleet.roles.proof.files.tool_call import ToolCall

Json = dict[str, Any]

TURNS: Json = {
    "on": {"thinking": {"type": "adaptive"}},
    "off": {"thinking": {"type": "disabled"}},
    "efforts": {},
}
"""Parameters for thinking and effort, if the gateway passes on what Claude Code sends."""

LIMIT = 240
"""Seconds after the first turn in which further turns begin: a slow engine is asked fewer."""

THOUGHTS = re.compile(r"</?(?:seed:)?think(?:ing)?>|<\|channel\|>|◁/?think▷|\[/?THINK\]")
"""Marks of thinking that a reasoning parser removes from the text of an answer."""


class Session:
    """A session with an engine.

    ``expected`` has the abilities of the model (``tools``, ``parser``, ``vision``, ``thinking``,
    ``turns``), its ``context``, what is ``kept`` from the engine by whom, and ``remedies``.
    ``tries``: attempts at a tool call; ``forces``: the engine supports ``tool_choice``.
    """

    def __init__(self, api: Api, expected: Json) -> None:
        self.api = api
        self.expected = expected
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
        except (AttributeError, LookupError, OverflowError, RecursionError, TypeError) as error:
            cause = (
                f"answers {_turn(item)} with what is no message ({type(error).__name__}: {error})"
            )
            failure = Failure(cause, item)
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

    def tool_call(self) -> Outcome:
        if self.expected["tools"]:
            return ToolCall(self.api, self.expected, self.start).outcome()
        if not all(answer["content"] for answer in self.ask(self.start)):
            raise Failure("returns an empty answer", "tool call")
        return Outcome("tool call", "not asked", "the model has no tools")

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
        if any(THOUGHTS.search(text_of(answer)) for answer in answers):
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
        if any(_thinks(answer) or THOUGHTS.search(text_of(answer)) for answer in answers):
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

    def prompt_cache(self) -> Outcome:
        return PromptCache(
            self.api,
            self.expected["context"],
            self.start,
            reports=self.reports_cache,
            tokens_per_character=self.tokens_per_character,
        ).outcome()


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


def _thinks(message: Json) -> bool:
    return any(block["type"] == "thinking" for block in message["content"])
