"""Estimate the tokens of a prompt: an upper bound, and the likely number for its model.

Plain Python, without LiteLLM and without requests to an engine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_prompt_parts import (
        DIGEST,
        Kinds,
        Part,
        digests,
        kinds,
        split,
    )
    from mirrorfleet.roles.litellm.files.mirrorfleet_token_counts import Counts
else:
    from mirrorfleet_prompt_parts import DIGEST, Kinds, Part, digests, kinds, split

Json = dict[str, Any]

RESERVE = 16
"""The window divided by this number is reserved for the answer."""

TEMPLATE = 256
"""Maximum number of tokens that a template adds to a prompt with a counted prefix."""

RATES = Kinds(words=0.3, runs=0.75, wide=0.45, messages=8)
"""Tokens per byte, and per message, of a model before anything was learnt."""

MINIMUM, MAXIMUM = Kinds(0.1, 0.1, 0.05, 1), Kinds(1, 1.2, 1.2, 64)
"""Bounds of the learnt rates."""

STEP = 0.5
"""The part of the last turn's error that the rates correct."""

ENOUGH = 400
"""Minimum number of bytes to learn from: in fewer, the template's own text is too large a part."""

SUSPECT = 0.75
"""A count below this part of the estimate may be that of a truncated prompt."""

HALF = 16
"""Tokens by which a truncated prompt may differ from half of the window."""


@dataclass(frozen=True)
class Turn:
    """The prompt of a turn to a model with a ``window``, in tokens.

    ``prefixes`` holds the digests of the prompt's prefixes. The first ``counted`` parts have
    ``known`` tokens, the other parts are ``new``. ``weights`` identifies the model that counted.
    """

    window: int
    weights: str
    prefixes: list[bytes]
    known: int
    counted: int
    new: list[Part]
    kinds: Kinds
    rates: Kinds

    @property
    def reserve(self) -> int:
        """Tokens that are reserved for the answer."""
        return self.window // RESERVE

    @property
    def limit(self) -> int:
        """The maximum number of tokens of a prompt."""
        return self.window - self.reserve

    @property
    def upper_bound(self) -> int:
        """The maximum number of tokens of this prompt.

        For a prompt without a counted prefix, it includes half of the window for what only the
        engine knows: the template, and the model's own system prompt.
        """
        template = TEMPLATE if self.counted else self.window // 2
        return self.known + template + sum(part.upper_bound for part in self.new)

    @property
    def estimate(self) -> int:
        """The likely number of tokens of this prompt."""
        return self.known + round(product(self.rates, self.kinds))

    @property
    def room(self) -> int:
        """The maximum number of tokens of the answer."""
        new = self.estimate - self.known
        return self.window - min(self.known + new + new // 10, self.limit)

    def is_suspect(self, tokens: int) -> bool:
        """Return whether this may be the count of a truncated prompt.

        It is far below the estimate of a long prompt, or about half of the window: Ollama leaves
        that when it drops the middle of a prompt.
        """
        is_half = self.upper_bound > self.limit and abs(2 * tokens - self.window) <= HALF
        is_short = self.window // 2 < self.estimate and tokens < SUSPECT * self.estimate
        return is_half or is_short


def estimated(counts: Counts, weights: str, window: int, request: Json) -> Turn:
    """Return the estimate of a request: the known count of its longest prefix, and the rest."""
    parts = split(request)
    prefixes = digests(weights, parts)
    known, counted = 0, 0
    for at in range(len(parts), 0, -1):
        if (found := counts.find(prefixes[at - 1])) is not None:
            known, counted = found, at
            break
    new = parts[counted:]
    learnt = counts.rates(_digest(weights))
    return Turn(
        window=window,
        weights=weights,
        prefixes=prefixes,
        known=known,
        counted=counted,
        new=new,
        kinds=kinds(new),
        rates=Kinds(*learnt) if learnt else RATES,
    )


def record(counts: Counts, turn: Turn, tokens: int) -> None:
    """Store the number of tokens of a turn, and learn from it."""
    counts.store(turn.prefixes[-1], tokens)
    learn(counts, turn, tokens, STEP)


def learn(counts: Counts, turn: Turn, tokens: int, step: float = 1) -> None:
    """Correct the rates of a model by the true number of tokens of a turn."""
    new, amounts = tokens - turn.known, turn.kinds
    if new <= 0 or sum(amounts[:3]) < ENOUGH:
        return
    learnt = counts.rates(_digest(turn.weights)) or RATES
    error = step * (new - product(learnt, amounts)) / product(amounts, amounts)
    changed = (rate + error * amount for rate, amount in zip(learnt, amounts, strict=True))
    bounded = (
        min(max(rate, low), high) for rate, low, high in zip(changed, MINIMUM, MAXIMUM, strict=True)
    )
    counts.store_rates(_digest(turn.weights), tuple(bounded))


def product(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the scalar product of two vectors."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def _digest(weights: str) -> bytes:
    return hashlib.blake2b(weights.encode(), digest_size=DIGEST).digest()
