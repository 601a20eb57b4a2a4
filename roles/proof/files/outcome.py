"""The outcomes of the parts of a session, as lines, as messages and as a record.

A part of the proof, which runs on hosts with the standard library only: see session.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mirrorfleet.roles.proof.files.api import printable

Json = dict[str, Any]


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


def lines(name: str, outcomes: list[Outcome]) -> Iterator[str]:
    """Yield a line of the report for each part that was asked."""
    for outcome in outcomes:
        if outcome.state == "not asked":
            continue
        note = f", {printable(outcome.note)}" if outcome.note else ""
        yield f"{name}: {outcome.item:<15}{outcome.state}{note}"


def failures(name: str, outcomes: list[Outcome]) -> Iterator[str]:
    """Yield a message for each failure, with its remedy."""
    for outcome in outcomes:
        if outcome.state == "failed":
            yield f"{name}: {printable(outcome.cause)}. {outcome.remedy}"


def record(outcomes: list[Outcome], seconds: float) -> Json:
    """Return the record of a session, which ``mirrorfleet verify`` shows."""
    parts = [{"item": each.item, "state": each.state, "note": each.note} for each in outcomes]
    return {"seconds": round(seconds, 1), "outcomes": parts}
