"""A turn while it is under way: what the ledger will record of it.

Plain Python, without LiteLLM. The counts come from LiteLLM's report of each call. The usage in a
stream and the number of its deltas replace them if a stream is cut, or if no report comes. Nothing
of the text is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_ledger import Turn
else:
    from mirrorfleet_ledger import Turn

Json = Mapping[str, Any]

SESSION = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

NAME = re.compile(r"[A-Za-z0-9._:@/-]{1,64}")
"""A provider's name of a model; the provider has answered for it."""

COUNTED = re.compile(rb'^data:(.*"usage".*)$', re.MULTILINE)
"""Events with tokens: a search is cheaper than a loop over the lines of all deltas."""

DELTA = re.compile(
    rb'event: content_block_delta|"object":"chat\.completion\.chunk"'
    rb'|"type":"response\.[a-z_.]+\.delta"'
)
STOP = re.compile(
    rb'event: message_stop|"finish_reason":"|"type":"response\.(completed|incomplete)"'
)
BROKEN = re.compile(rb'event: error|^data: \{"error"|"type":"response\.failed"', re.MULTILINE)
"""Parts, ends and failures of streams: of the Messages API, of chats, and of responses. Quotes in a
text are escaped, so no word of an answer matches.
"""

BYTES = 4
"""Bytes of a request per token, for a turn that was cut before the engine reported its tokens."""

LEFT = 499
"""The status of a request whose client left, as in the logs of nginx."""

PRICES = {
    "input": "input_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "output": "output_cost_per_token",
}
"""LiteLLM's names of prices, in dollars per token."""

USAGE = {
    "input": "input_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_creation_input_tokens",
    "output": "output_tokens",
}
"""The names of the Messages API."""

REPORT, REPORT_CUT, REPORT_KNOWN = 30.0, 0.5, 0.5
"""Seconds to wait for LiteLLM's report after the end of a response; after one that was cut, whose
tokens LiteLLM may count for seconds; and after one whose tokens and price are known without it.
"""

DOLLAR = 1_000_000_000


class Tokens(NamedTuple):
    """Tokens of one call, as the columns of the ledger have them."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0


def reported(payload: Json) -> Tokens:
    """Return the tokens of a call from LiteLLM's report (standard_logging_object)."""
    usage = (payload.get("metadata") or {}).get("usage_object") or {}
    details = usage.get("prompt_tokens_details") or {}
    read = usage.get("cache_read_input_tokens") or details.get("cached_tokens") or 0
    write = usage.get("cache_creation_input_tokens") or details.get("cache_creation_tokens") or 0
    prompt = payload.get("prompt_tokens") or 0
    return Tokens(max(0, prompt - read - write), read, write, payload.get("completion_tokens") or 0)


def streamed(chunk: bytes) -> tuple[dict[str, int], bool]:
    """Return the tokens that the events of a part of a stream report, by column.

    The second value is whether they are the final ones, of its end.
    """
    found: dict[str, int] = {}
    is_final = False
    for line in COUNTED.findall(chunk):
        try:
            event = json.loads(line)
            usage = event.get("usage") or event["message"]["usage"]
            is_final = is_final or "usage" in event
            found |= _columns(usage)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a part that ends within an event
    return found, is_final


def answered(chunk: bytes) -> dict[str, int]:
    """Return the tokens at the end of a whole answer, by column; {} if the part has none.

    Quotes in a text are escaped, so the last "usage" is the field, not a word of the answer.
    """
    at = chunk.rfind(b'"usage"')
    start = chunk.find(b"{", at)
    if at < 0 or start < 0:
        return {}
    try:
        usage, _ = json.JSONDecoder().raw_decode(chunk[start:].decode(errors="replace"))
    except ValueError:
        return {}
    return _columns(usage)


def _columns(usage: Json) -> dict[str, int]:
    """Return the positive counts of a usage of the Messages API, by column."""
    return {
        column: value
        for column, name in USAGE.items()
        if isinstance(value := usage.get(name), int) and value > 0
    }


class OpenTurn:
    """A turn from its request to the end of its answer; times are in seconds."""

    def __init__(self, person: str, group: str, asked: str, session: str, size: int) -> None:
        """``size``: bytes of the request."""
        self.person, self.group, self.asked, self.session = person, group, asked, session
        self.size = size
        self.began = time.monotonic()
        self.first: float | None = None
        self.status = 0
        self.is_stream = self.is_done = self.is_broken = self.has_left = False
        self.has_stopped = self.is_final = False
        self.deltas = 0
        self.seen: dict[str, int] = {}
        self.model = self.deployment = ""
        self.prices: Json = {}
        self.has_fallen_back = False
        self.mended: set[str] = set()
        self.calls = self.failures = self.successes = 0
        self.kind = ""
        self.tokens = Tokens()
        self.cost: float | None = None
        self.ended: tuple[float, float] | None = None

    def respond(self, status: int, is_stream: bool) -> None:
        """Note the start of the response."""
        self.status, self.is_stream = status, is_stream

    def send(self, chunk: bytes, is_last: bool) -> None:
        """Note a part of the response."""
        if self.is_stream and chunk:
            deltas = len(DELTA.findall(chunk))
            self.deltas += deltas
            if self.first is None and (deltas or b'"delta"' in chunk):
                self.first = time.monotonic()
            if b'"usage"' in chunk:
                seen, is_final = streamed(chunk)
                self.seen |= seen
                self.is_final = self.is_final or is_final
            self.is_broken = self.is_broken or bool(BROKEN.search(chunk))
            self.has_stopped = self.has_stopped or bool(STOP.search(chunk))
        elif chunk and self.status < 400 and (usage := answered(chunk)):
            self.seen, self.is_final = usage, True
        self.is_done = self.is_done or is_last

    def call(self, model: str, info: Json, is_fallback: bool, kind: str) -> None:
        """Note that LiteLLM calls a deployment; ``kind`` is its name of the call.

        LiteLLM translates between APIs by a call of another kind inside of the first one, which it
        does not report.
        """
        self.kind = self.kind or kind
        self.calls += kind == self.kind
        self.model, self.deployment = model, str(info.get("mirrorfleet_deployment") or "")
        self.has_fallen_back = self.has_fallen_back or is_fallback
        self.prices = info if PRICES["input"] in info else {}

    def succeed(self, payload: Json) -> None:
        """Note LiteLLM's report of a call: a turn that searches the web has several."""
        self.successes += 1
        self.tokens = Tokens(*map(sum, zip(self.tokens, reported(payload), strict=True)))
        if cost := payload.get("response_cost"):
            self.cost = (self.cost or 0) + cost
        if not self.calls:  # the passthrough has no deployment
            name = str(payload.get("model") or "")
            self.model = self.model or (name if NAME.fullmatch(name) else "?")

    def end(self) -> None:
        """Note the end of the response."""
        self.ended = time.time(), time.monotonic()

    @property
    def outcome(self) -> str:
        if self.status == LEFT or (self.has_left and not self.is_done):
            return "cut"
        if self.status >= 400 or self.is_broken or (self.deltas and not self.has_stopped):
            return "failed"
        return "complete" if self.is_done else "failed"

    @property
    def patience(self) -> float:
        """Return the seconds to wait for LiteLLM's report."""
        if self.outcome == "cut":
            return REPORT_CUT
        is_known = self.is_final and self.calls == 1 and bool(self.prices)
        return REPORT_KNOWN if is_known or self.is_broken else REPORT

    @property
    def is_counted(self) -> bool:
        """Return whether all reports of a turn that has ended are there, or none will come."""
        if self.outcome == "failed" and self.status >= 400:
            return True
        return self.successes > 0 and self.calls <= self.successes + self.failures

    def row(self) -> Turn:
        """Return the row of the ledger."""
        outcome = self.outcome
        ended, clock = self.ended or (time.time(), time.monotonic())
        tokens, is_estimated = self._tokens(outcome)
        return Turn(
            ended=int(ended * 1000),
            person=self.person,
            group=self.group,
            asked=self.asked,
            model=self.model,
            deployment=self.deployment,
            session=self.session,
            outcome=outcome,
            status=LEFT if outcome == "cut" else self.status or 500,
            streamed=int(self.is_stream),
            estimated=int(is_estimated),
            fallback=int(self.has_fallen_back),
            mended=",".join(sorted(self.mended)),
            **tokens._asdict(),
            cost=self._cost(tokens),
            latency=round((clock - self.began) * 1000),
            first=None if self.first is None else round((self.first - self.began) * 1000),
        )

    def _tokens(self, outcome: str) -> tuple[Tokens, bool]:
        """Return the tokens, and whether they are an estimate."""
        if outcome == "failed" and self.status >= 400:
            return Tokens(), False
        seen = Tokens(**self.seen)
        if outcome == "complete" and any(self.tokens):
            return self.tokens, False
        if outcome == "complete" and self.is_final:
            return seen, False
        most = Tokens(*map(max, zip(self.tokens, seen, strict=True)))
        if not any(most[:3]):
            most = most._replace(input=self.size // BYTES)
        return most._replace(output=max(most.output, self.deltas)), True

    def _cost(self, tokens: Tokens) -> int | None:
        """Return the cost by the fleet's price, else as LiteLLM knows it."""
        if not self.prices:
            return None if self.cost is None else round(self.cost * DOLLAR)
        prices = ((self.prices.get(name) or 0) for name in PRICES.values())
        return round(sum(n * price for n, price in zip(tokens, prices, strict=True)) * DOLLAR)


def identity(people: str, secret: str) -> Callable[[str], str]:
    """Return the function from the name of a person or a session to what the ledger stores."""
    if people == "name":
        return lambda name: name
    if people == "off":
        return lambda name: ""

    def pseudonym(name: str) -> str:
        if not name:
            return ""
        text = b"mirrorfleet usage\0" + name.encode()
        return "p-" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()[:12]

    return pseudonym


def session(value: str) -> str:
    """Return the session of a request's header, if it has the form of one."""
    return value if SESSION.fullmatch(value) else ""
