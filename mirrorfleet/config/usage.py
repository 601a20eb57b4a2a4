"""What the gateways record of each turn, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mirrorfleet.config.reader import Section

People = Literal["name", "pseudonym", "off"]

UNITS = {"d": 1, "y": 365}
"""Days."""


@dataclass(frozen=True)
class Usage:
    """Days that rows of turns and sums of days are kept, and how people are identified."""

    rows: int
    days: int
    people: People


def usage(section: Section) -> Usage:
    """Read ``gateway.usage``."""
    return Usage(_days(section["rows"]), _days(section["days"]), section["people"])


def _days(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]
