"""The canary's session: two turns of which the second begins with the tokens of the first.

A part of the canary, which runs on hosts with the standard library only: see canary.py.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from typing import Any

from mirrorfleet.roles.proof.files import turns
from mirrorfleet.roles.proof.files.api import (
    Api,
    Json,
    NotReady,
    Refused,
    assembled,
    counter,
    printable,
    tokens,
)

HITS, QUERIES = r"\w+:prefix_cache_hits", r"\w+:prefix_cache_queries"
"""The engine's counters of tokens, after its prefix: found in the cache, and looked for."""

PATIENCE = 120
"""Maximum seconds for a turn. A slower engine is not measured."""

OTHERS = 1.1
"""How many times the tokens of a prompt are counted at most, without other requests."""

SETTLING = 10
"""Looks at the metrics until an answer is counted: an engine counts it after its last word."""

SHORT = 16
"""Tokens of the shortest answer of which a throughput is measured."""


class Timed:
    """The lines of a stream, with the time of its first token. Raises ``TimeoutError``."""

    def __init__(self, stream: Any, end: float) -> None:
        self.stream = stream
        self.end = end
        self.first = 0.0

    def __iter__(self) -> Iterator[bytes]:
        for line in self.stream:
            now = time.monotonic()
            if now > self.end:
                raise TimeoutError
            if not self.first and line.startswith(b"data:") and b'"content_block_delta"' in line:
                self.first = now
            yield line


class TwoTurns:
    """The session with a model.

    ``words`` of the first prompt; ``tools``: the model has tools. ``engines`` are the APIs whose
    metrics count the cache. ``end``: the time.monotonic() at which all must be over. ``replicas``:
    the engines that have counted the session.
    """

    def __init__(
        self, api: Api, engines: Sequence[Api], words: int, end: float, *, tools: bool
    ) -> None:
        self.api = api
        self.engines = engines
        self.words = words
        self.end = end
        self.start = turns.opening(tools=tools, thinking={})
        self.replicas = 1

    def figures(self, nonce: str) -> Json:
        """Return the figures of a session; ``nonce`` begins its prompt, so nothing is cached."""
        try:
            return self._figures(nonce)
        except TimeoutError:
            fault = f"no answer within {PATIENCE} s, or no time left"
        except Refused as refused:
            fault = f"{refused.status}: {refused.reason}"
        except (NotReady, OSError, HTTPException) as error:
            fault = printable(str(error))
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
            fault = printable(f"an answer that is no message ({type(error).__name__}: {error})")
        return {"fault": fault}

    def _figures(self, nonce: str) -> Json:
        self._turn(turns.warm_up(self.start))  # a model may have to be loaded
        first, second = turns.two(self.start, self.words, nonce)
        cold, *_ = self._turn(first)
        before = self._counted()
        warm, seconds, answer = self._turn(second)
        prompt, cached = tokens(answer)
        rate, reason = self._rate(prompt, cached, before)
        written = answer["usage"].get("output_tokens") or 0
        return {
            "prompt": prompt,
            "first": round(cold, 3),
            "second": round(warm, 3),
            "rate": rate if rate is None else round(rate, 4),
            "reason": reason,
            "throughput": round((written - 1) / (seconds - warm), 2)
            if written >= SHORT and seconds > warm
            else None,
            "fault": "",
        }

    def _turn(self, body: Json) -> tuple[float, float, Json]:
        """Return the seconds to the first token and to the end of a turn, and its answer."""
        began = time.monotonic()
        left = min(float(PATIENCE), self.end - began)
        if left <= 0:
            raise TimeoutError
        full = {"model": self.api.model, **body, "stream": True}
        with self.api.request("/v1/messages", full, left) as response:
            timed = Timed(response, began + left)
            answer = assembled(timed)
        over = time.monotonic()
        return (timed.first or over) - began, over - began, answer

    def _rate(
        self, prompt: int, cached: int | None, before: tuple[float, float] | None
    ) -> tuple[float | None, str]:
        """Return the share of a prompt from the cache, or ``None`` and the reason.

        A gateway may write 0 for an engine that reports nothing: then its metrics count.
        """
        if not prompt:
            return None, "the answer has no number of tokens"
        if cached:
            return min(1.0, cached / prompt), ""
        after = self._settled(before, prompt)
        if before is None or after is None:
            return (None if cached is None else 0.0), ""
        hits, queries = after[0] - before[0], after[1] - before[1]
        if not prompt / OTHERS <= queries <= prompt * OTHERS:
            return None, "others asked the engine at the same time"
        return min(1.0, max(0.0, hits) / prompt), ""

    def _settled(
        self, before: tuple[float, float] | None, prompt: int
    ) -> tuple[float, float] | None:
        """Return the counters once they have a prompt more than before."""
        for _ in range(SETTLING):
            after = self._counted()
            if before is None or after is None or after[1] - before[1] >= prompt / OTHERS:
                break
            time.sleep(0.1)
        return after

    def _counted(self) -> tuple[float, float] | None:
        """Return the hits and the queries that all engines have counted; ``None`` without."""
        hits, queries, replicas = 0.0, 0.0, 0
        for engine in self.engines:
            try:
                metrics = engine.metrics()
            except (NotReady, OSError, HTTPException, ValueError):
                return None
            found = counter(metrics, HITS), counter(metrics, QUERIES)
            if found[0] is None or found[1] is None:
                return None
            hits, queries = hits + found[0], queries + found[1]
            replicas += len(re.findall(rf"^{QUERIES}(?:_total)?[ {{]", metrics, re.MULTILINE))
        self.replicas = max(self.replicas, replicas)
        return hits, queries


def listed(api: Api) -> set[str] | None:
    """Return the names of the models that a server lists; ``None`` without a list."""
    try:
        with api.request("/v1/models", seconds=20) as response:
            return {str(each["id"]) for each in json.load(response)["data"]}
    except (Refused, NotReady, OSError, HTTPException, ValueError, LookupError, TypeError):
        return None
