"""Ledgers for reports, of three sizes: nothing, one person, and 200 people with long names."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mirrorfleet.roles.litellm.files.mirrorfleet_ledger import Ledger, Turn
from tests.roles.test_ledger import TURN

LONG = "maximiliana.wolfeschlegelsteinhausenbergerdorff@research.example.org"
"""A name of a person that has no place to break a line but its signs."""

GROUPS = ("platform", "research", "a-group-with-a-name-of-more-than-thirty-letters")

MODELS = ("coder", "cloud", "deepseek-ai/DeepSeek-V4.1-Instruct-with-a-long-name", *"abcdefg")


def nothing(path: Path, now: datetime) -> None:
    """Write a ledger without turns."""
    Ledger(path).close()
    _write(path, [])


def one_person(path: Path, now: datetime) -> None:
    """Write a ledger with one turn of today, without a price."""
    _write(path, [TURN._replace(ended=_milliseconds(now), person="ada")])


def many_people(path: Path, now: datetime) -> None:
    """Write a ledger with 200 people, ten models, and 30 days, of which one has no turns."""
    chance = random.Random(19)
    people = [LONG, *(f"person-{number}" for number in range(199))]
    turns = []
    for days in (number for number in range(30) if number != 7):
        for at, person in enumerate(people):
            if days and chance.random() < 0.8:
                continue
            first = int(chance.lognormvariate(7, 0.8))
            turns.append(
                TURN._replace(
                    ended=_milliseconds(now - timedelta(days=days)),
                    person=person,
                    group=GROUPS[at % 3],
                    model=MODELS[int(chance.random() ** 2 * len(MODELS))],
                    outcome=chance.choices(("complete", "failed", "cut"), (95, 3, 2))[0],
                    fallback=int(chance.random() < 0.02),
                    input=chance.randrange(4_000_000),
                    cache_read=chance.randrange(80_000_000),
                    output=chance.randrange(500_000),
                    cost=chance.randrange(40_000_000_000) if at % 4 else None,
                    latency=first * 12,
                    first=first,
                )
            )
    _write(path, turns)


def _write(path: Path, turns: list[Turn]) -> None:
    ledger = Ledger(path)
    if turns:
        ledger.add(turns)
    ledger.close()


def _milliseconds(time: datetime) -> int:
    return int(time.astimezone(UTC).timestamp() * 1000)
