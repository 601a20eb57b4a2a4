"""Print what a gateway's ledger has, as packed JSON: runs on the gateway, by its python3.

    python3 -I - PATH SINCE UNTIL COLUMN,... [START,...]

SINCE and UNTIL are days (YYYY-MM-DD, UTC), both included. The sums come from the table of days.
Times of answers come from the rows, in buckets: those of several gateways can be added. Each START
(seconds since 1970) is that of a budget's period, whose sums until now are printed as well.
"""

from __future__ import annotations

import base64
import json
import math
import sqlite3
import sys
import zlib
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

COLUMNS = ("day", "person", "group", "model", "deployment")
SUMS = (
    *("turns", "failed", "cut", "estimated", "fallback", "mended"),
    *("input", "cache_read", "cache_write", "output", "cost", "priced"),
)

NAMES = '"person", "group", "model"'
TOKENS = ("input", "cache_read", "cache_write", "output")

# The rows of the first day of UTC, which may begin before the period, then full days: a month costs
# little more than a day, and deleted rows still count.
USED = """
SELECT {names}, {sums}, total(cost) FROM (
    SELECT {names}, {tokens}, cost FROM turns WHERE ended >= ? AND ended < ?
    UNION ALL
    SELECT {names}, {tokens}, cost FROM days WHERE day >= date(?, 'unixepoch')
) GROUP BY {names}
""".format(names=NAMES, tokens=", ".join(TOKENS), sums=", ".join(f"sum({name})" for name in TOKENS))

DAY = 86_400
"""Seconds."""

STEPS = 8
"""Buckets of times for each doubling: a percentile is exact to 4.5 percent."""


def bucket(milliseconds: int) -> int:
    """Return the bucket of a time."""
    return round(STEPS * math.log2(max(1, milliseconds)))


def start(day: str) -> datetime:
    """Return the start of a day. Raises ``ValueError`` for another text."""
    return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=timezone.utc)  # noqa: UP017, Python 3.9


def read(
    path: str, since: str, until: str, columns: list[str], starts: list[int]
) -> dict[str, Any]:
    """Return the sums by ``columns``, the numbers of times by day, model and bucket, and the sums
    since each of ``starts`` by person, group and model.
    """
    nothing: dict[str, Any] = {"sums": [], "times": [], "used": []}
    if not Path(path).exists():
        return nothing
    if not set(columns) <= set(COLUMNS):
        raise ValueError(f"unknown columns: {columns}")
    first, last = start(since), start(until) + timedelta(days=1)
    between = int(first.timestamp() * 1000), int(last.timestamp() * 1000)
    only_read = Path(path).absolute().as_uri() + "?mode=ro"
    with closing(sqlite3.connect(only_read, uri=True, timeout=10)) as ledger:
        ledger.create_function("bucket", 1, bucket)
        if not ledger.execute("SELECT 1 FROM sqlite_master WHERE name = 'days'").fetchall():
            return nothing  # a worker is about to write its first turn
        names = ", ".join(f'"{name}"' for name in columns)
        sums = ", ".join(f'sum("{name}")' for name in SUMS)
        found = ledger.execute(
            f"SELECT {names}, {sums} FROM days WHERE day BETWEEN ? AND ? GROUP BY {names}",
            (since, until),
        ).fetchall()
        times = []
        for kind, condition in (("latency", "outcome = 'complete'"), ("first", "first >= 0")):
            times += ledger.execute(
                f"SELECT '{kind}', date(ended / 1000, 'unixepoch'), model, bucket({kind}), count(*)"
                f" FROM turns WHERE ended >= ? AND ended < ? AND {condition} GROUP BY 1, 2, 3, 4",
                between,
            ).fetchall()
        used = [
            (begin, *row)
            for begin in starts
            for row in ledger.execute(USED, _bounds(begin)).fetchall()
        ]
    return {"sums": found, "times": times, "used": used}


def _bounds(begin: int) -> tuple[int, int, int]:
    """Return the milliseconds between which rows count, and the seconds from which days count."""
    midnight = -(-begin // DAY) * DAY
    return begin * 1000, midnight * 1000, midnight


def main(path: str, since: str, until: str, columns: str, starts: str = "") -> None:
    begins = [int(begin) for begin in starts.split(",") if begin]
    content = json.dumps(read(path, since, until, columns.split(","), begins))
    print("usage", base64.b64encode(zlib.compress(content.encode())).decode(), sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
