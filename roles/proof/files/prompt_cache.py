"""The repeated prompt of the session: the second time, the prefix cache must have it.

A part of the proof, which runs on hosts with the standard library only: see session.py.
"""

from __future__ import annotations

import time
from typing import Any

from mirrorfleet.roles.proof.files import turns
from mirrorfleet.roles.proof.files.api import Api, counter, label, tokens
from mirrorfleet.roles.proof.files.outcome import Failure, Outcome

Json = dict[str, Any]

HITS = r"\w+:prefix_cache_hits"
"""The counter of hits in the metrics, after the prefix of the engine."""

TRIES = 3
"""Repetitions of the prompt: an engine of several replicas may choose another one."""

LONG = 20_000
"""Tokens of the repeated prompt, like Claude Code's first one; at most half the window."""

PATIENCE = 120
"""Maximum seconds for the answer to the repeated prompt. A slower engine is not measured."""

WORDS = 4
"""Maximum words of a prompt per token, whatever an engine reports."""

GOOD = 0.5
"""The least share of a repeated prompt that a working prefix cache has."""


class PromptCache:
    """The part of a session that ``start`` begins.

    ``reports``: an answer had the figures of the cache. ``tokens_per_character``: of a prompt, for
    an engine that does not count tokens.
    """

    def __init__(
        self, api: Api, context: int, start: Json, *, reports: bool, tokens_per_character: float
    ) -> None:
        self.api = api
        self.context = context
        self.start = start
        self.reports = reports
        self.tokens_per_character = tokens_per_character

    def outcome(self) -> Outcome:
        """Send a long prompt twice: the second must hit the prefix cache."""
        item, metrics = "prompt cache", self.api.metrics()
        if not self.reports and counter(metrics, HITS) is None:
            return Outcome(item, "not reported", "the engine has no figures of its cache")
        body = self._long(min(LONG, self.context // 2))
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
        # An engine that reports no tokens, or one, would get a prompt of hundreds of MB.
        return turns.long(self.start, int(2000 * desired * 0.98 / max(counted, 2000 / WORDS)))

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
