"""How long the prompt of a turn is: at the most, and by what was learnt of its model.

Plain Python: it knows no LiteLLM and asks nobody.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_prompt_parts import (
        DIGEST,
        Kinds,
        Piece,
        digests,
        kinds,
        pieces,
    )
    from mirrorfleet.roles.litellm.files.mirrorfleet_token_counts import Counts
else:
    from mirrorfleet_prompt_parts import DIGEST, Kinds, Piece, digests, kinds, pieces

Json = dict[str, Any]

RESERVE = 16
"""The part of the window that is kept for the answer: one in so many."""

UNSEEN = 256
"""Tokens that a template may add to a prompt whose beginning was counted."""

RATES = Kinds(words=0.3, runs=0.75, wide=0.45, messages=8)
"""Tokens per byte, and per message, of a model of which nothing was learnt yet."""

LEAST, MOST = Kinds(0.1, 0.1, 0.05, 1), Kinds(1, 1.2, 1.2, 64)

STEP = 0.5
"""How far the rates go towards what would have been right for the last turn."""

ENOUGH = 400
"""Bytes of which something can be learnt: of fewer, the template's own text is too large a part."""

SUSPECT = 0.75
"""A count that is below this part of the estimate may be that of a prompt that was cut."""

HALF = 16
"""Tokens by which Ollama misses the half of the window: it keeps the first few of a prompt."""


@dataclass(frozen=True)
class Turn:
    """A prompt on its way to a model with a ``window``.

    Of its beginnings, ``ends`` are the digests. The first ``counted`` parts are known to have
    ``known`` tokens, the others are ``new``. ``whose`` counts they are says the name of the
    weights.
    """

    window: int
    whose: str
    ends: list[bytes]
    known: int
    counted: int
    new: list[Piece]
    kinds: Kinds
    rates: Kinds

    @property
    def reserve(self) -> int:
        """Tokens that are kept for the answer."""
        return self.window // RESERVE

    @property
    def limit(self) -> int:
        """Tokens of the longest prompt that is taken."""
        return self.window - self.reserve

    @property
    def most(self) -> int:
        """Tokens at the most. Of a prompt of which nothing was counted yet, half of the window is
        left to what only the engine knows: the template, and the model's own system prompt."""
        unseen = UNSEEN if self.counted else self.window // 2
        return self.known + unseen + sum(part.most for part in self.new)

    @property
    def estimate(self) -> int:
        return self.known + round(product(self.rates, self.kinds))

    @property
    def room(self) -> int:
        """Tokens that an answer may have."""
        new = self.estimate - self.known
        return self.window - min(self.known + new + new // 10, self.limit)

    def is_suspect(self, tokens: int) -> bool:
        """May this be the count of a prompt that was cut?

        It has far fewer tokens than were expected of a long prompt; or half of the window, which
        Ollama leaves of a prompt that lost its middle.
        """
        is_half = self.most > self.limit and abs(2 * tokens - self.window) <= HALF
        is_short = self.window // 2 < self.estimate and tokens < SUSPECT * self.estimate
        return is_half or is_short


def weighed(counts: Counts, whose: str, window: int, request: Json) -> Turn:
    """Look up how much of a request was counted before, and weigh the rest."""
    parts = pieces(request)
    ends = digests(whose, parts)
    known, counted = 0, 0
    for at in range(len(parts), 0, -1):
        if (found := counts.find(ends[at - 1])) is not None:
            known, counted = found, at
            break
    new = parts[counted:]
    learnt = counts.rates(_digest(whose))
    return Turn(
        window=window,
        whose=whose,
        ends=ends,
        known=known,
        counted=counted,
        new=new,
        kinds=kinds(new),
        rates=Kinds(*learnt) if learnt else RATES,
    )


def count(counts: Counts, turn: Turn, tokens: int) -> None:
    """Remember how many tokens a turn had, and learn from it."""
    counts.keep(turn.ends[-1], tokens)
    learn(counts, turn, tokens, STEP)


def learn(counts: Counts, turn: Turn, tokens: int, step: float = 1) -> None:
    """Correct the rates of a model by how many tokens a turn really had."""
    rest, seen = tokens - turn.known, turn.kinds
    if rest <= 0 or sum(seen[:3]) < ENOUGH:
        return
    learnt = counts.rates(_digest(turn.whose)) or RATES
    wrong = step * (rest - product(learnt, seen)) / product(seen, seen)
    changed = (rate + wrong * much for rate, much in zip(learnt, seen, strict=True))
    bounded = (
        min(max(rate, least), most) for rate, least, most in zip(changed, LEAST, MOST, strict=True)
    )
    counts.learn(_digest(turn.whose), tuple(bounded))


def product(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _digest(whose: str) -> bytes:
    return hashlib.blake2b(whose.encode(), digest_size=DIGEST).digest()
