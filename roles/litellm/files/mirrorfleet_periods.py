"""Periods of budgets: days, weeks from Monday, and months, each from midnight in a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Period(NamedTuple):
    """Seconds since 1970 of its start, and of its end, which is the next one's start."""

    start: float
    end: float


def period(kind: str, time_zone: str, now: float) -> Period:
    """Return the day, week or month that ``now`` is in.

    Raises ``ZoneInfoNotFoundError`` for a time zone that this host does not know.
    """
    zone = _zone(time_zone)
    # Without a zone until the end: a day with a change of the clock has 23 or 25 hours.
    local = datetime.fromtimestamp(now, zone).replace(tzinfo=None)
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == "week":
        start -= timedelta(days=start.weekday())
        end = start + timedelta(days=7)
    elif kind == "month":
        start = start.replace(day=1)
        end = (start + timedelta(days=32)).replace(day=1)
    else:
        end = start + timedelta(days=1)
    return Period(*(time.replace(tzinfo=zone).timestamp() for time in (start, end)))


def shown(time: float, time_zone: str) -> str:
    """Return a time for people: ``Mon 2026-11-30 00:00 Europe/Berlin``."""
    return f"{datetime.fromtimestamp(time, _zone(time_zone)):%a %Y-%m-%d %H:%M} {time_zone}"


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)  # UTC needs no file of the host
