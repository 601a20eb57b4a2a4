"""The days of a report: from `--since` and `--until`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple


class Period(NamedTuple):
    """The days of a report, both included; days are those of UTC."""

    since: date
    until: date

    @property
    def days(self) -> list[str]:
        count = (self.until - self.since).days + 1
        return [str(self.since + timedelta(days=number)) for number in range(count)]


def today() -> date:
    return datetime.now(UTC).date()


def period(since: str, until: str) -> Period:
    """Return the days that two options name: a date, or a number of days such as 30d.

    30d are today and the 29 days before. Raises ``ValueError`` for another text, or no days.
    """
    now = today()
    last = _day(until, now) if until else now
    first = last - timedelta(days=days - 1) if (days := _days(since)) else _day(since, now)
    if first > last:
        raise ValueError(f"{first} is after {last}")
    return Period(first, last)


def _days(text: str) -> int | None:
    match = re.fullmatch(r"([1-9][0-9]{0,3})d", text)
    return int(match[1]) if match else None


def _day(text: str, now: date) -> date:
    if text == "today":
        return now
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"'{text}' is no day, such as {now}, or number of days, such as 30d"
        ) from None
