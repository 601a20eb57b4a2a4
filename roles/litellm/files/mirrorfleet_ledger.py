"""The ledger of a gateway: one row per turn, and sums per day, in one SQLite file.

Plain Python, without LiteLLM. All workers of a gateway write to the same file (WAL), each in
batches, by a thread (mirrorfleet_usage.py). A gateway has its own file; a fleet's sums are those of
all its gateways. The file holds numbers and names, never a word of a prompt or of an answer.

`turns` has one row per turn, deleted after ``usage.rows``:

| column | content |
|---|---|
| `ended` | milliseconds since 1970, UTC: the end of the answer |
| `person` | name or pseudonym of the key's holder; "" with `people: off` |
| `group` | group of developers; "" for the master key (quote the name in SQL) |
| `asked` | requested name of a model or an alias; "?" if the fleet has no such name |
| `model` | model of the fleet that answered, or that failed last; "" if none was called |
| `deployment` | host of the engine, or provider, of this model |
| `session` | UUID of the client's session, its pseudonym, or "" with `people: off` |
| `outcome` | "complete"; "cut": the client left; "failed": no answer, or a broken one |
| `status` | HTTP status; 499 if the client left; 200 also if the stream broke later |
| `streamed` | 1 for a streamed answer |
| `estimated` | 1 if the tokens are an estimate: the engine's own count did not arrive |
| `fallback` | 1 if another model than the requested one answered |
| `mended` | kinds of changes to the request or the answer, with commas |
| `input` | tokens of the prompt without those of the two following columns |
| `cache_read` | tokens of the prompt that were read from the prompt cache |
| `cache_write` | tokens of the prompt that were written to a provider's prompt cache |
| `output` | tokens of the answer, thinking included |
| `cost` | billionths of a US dollar; NULL without a price |
| `latency` | milliseconds from the request to the end of the answer |
| `first` | milliseconds to the first token of a streamed answer; NULL without one |

`days` has the sums of turns with equal `day` (YYYY-MM-DD, UTC), `person`, `group`, `asked`, `model`
and `deployment`, deleted after ``usage.days``: see ``SUMS``. Both change in one transaction, so the
sums agree with the rows whenever a worker is killed.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from errno import ELOOP
from pathlib import Path
from typing import NamedTuple

DAY = 86_400
"""Seconds."""

CHUNK = 2000
"""Most rows that one transaction deletes, so that no worker waits long for the lock."""


class Turn(NamedTuple):
    """A row of `turns`."""

    ended: int
    person: str
    group: str
    asked: str
    model: str
    deployment: str
    session: str
    outcome: str
    status: int
    streamed: int
    estimated: int
    fallback: int
    mended: str
    input: int
    cache_read: int
    cache_write: int
    output: int
    cost: int | None
    latency: int
    first: int | None


class Sums(NamedTuple):
    """Sums of turns; `turns` is their number. Tokens and costs have the units of ``Turn``."""

    turns: int
    input: int
    cache_read: int
    cache_write: int
    output: int
    cost: int


KEYS = ("day", "person", "group", "asked", "model", "deployment")
"""The columns of `days` that identify a sum."""

SUMS = {
    "turns": "1",
    "failed": "outcome = 'failed'",
    "cut": "outcome = 'cut'",
    "estimated": "estimated",
    "fallback": "fallback",
    "mended": "mended <> ''",
    "input": "input",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "output": "output",
    "cost": "coalesce(cost, 0)",
    "priced": "cost IS NOT NULL",
    "latency": "latency",
    "streamed": "first IS NOT NULL",
    "first": "coalesce(first, 0)",
}
"""The other columns of `days`: each is the sum of an expression over `turns`.

`priced` counts turns with a cost, `streamed` those with a time to the first token.
"""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


TEXTS = frozenset(
    ("person", "group", "asked", "model", "deployment", "session", "outcome", "mended")
)
OPTIONAL = frozenset(("cost", "first"))


def _column(name: str) -> str:
    kind = "TEXT" if name in TEXTS else "INTEGER"
    return f'"{name}" {kind}' + ("" if name in OPTIONAL else " NOT NULL")


TABLES = f"""
CREATE TABLE IF NOT EXISTS turns (
    id INTEGER PRIMARY KEY,
    {", ".join(map(_column, Turn._fields))}
);
CREATE INDEX IF NOT EXISTS turns_ended ON turns (ended);
CREATE TABLE IF NOT EXISTS days (
    {", ".join(f'"{name}" TEXT NOT NULL' for name in KEYS)},
    {", ".join(f'"{name}" INTEGER NOT NULL' for name in SUMS)},
    PRIMARY KEY ({_quoted(KEYS)})
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (name TEXT PRIMARY KEY, done INTEGER NOT NULL) WITHOUT ROWID;
"""

PLACES = ", ".join("?" for _ in Turn._fields)
INSERT = f"INSERT INTO turns ({_quoted(Turn._fields)}) VALUES ({PLACES})"


ADD = f"""
INSERT INTO days ({_quoted((*KEYS, *SUMS))})
SELECT date(ended / 1000, 'unixepoch') AS day, {_quoted(KEYS[1:])},
    {", ".join(f"sum({each})" for each in SUMS.values())}
FROM turns WHERE id > ? GROUP BY {", ".join(map(str, range(1, len(KEYS) + 1)))}
ON CONFLICT DO UPDATE SET {", ".join(f'"{name}" = "{name}" + excluded."{name}"' for name in SUMS)}
"""

BETWEEN = f"""
SELECT count(*), {", ".join(f"coalesce(sum({name}), 0)" for name in Sums._fields[1:])}
FROM turns WHERE ended >= ? AND ended < ?
"""


class Ledger:
    """The ledger in the file at ``path``, whose directory exists.

    Every method may raise ``sqlite3.Error`` or ``OSError``: the disk is full, the file is no
    database. The file is opened by the first call; use a ``Ledger`` in one thread only.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._opened: sqlite3.Connection | None = None

    def _connection(self) -> sqlite3.Connection:
        """Open the file, with both tables. Only its owner can read it, also its WAL."""
        if self._opened is None:
            self._create()
            connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                # A commit reaches the disk with the next checkpoint: a killed process loses
                # nothing, a power cut the last seconds. The file stays whole in both cases.
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(TABLES)
            except sqlite3.Error:
                connection.close()
                raise
            self._opened = connection
        return self._opened

    def _create(self) -> None:
        """Create the file, readable by its owner only. Raises ``OSError`` if it is a link.

        A file that exists is not opened: to close it would drop the locks of this process, which
        reads budgets from it. Without them, the next program that reads the file deletes the WAL,
        with all that this process writes from then on.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            os.close(os.open(self.path, flags, 0o600))
        except FileExistsError:
            if self.path.is_symlink():
                raise OSError(ELOOP, os.strerror(ELOOP), str(self.path)) from None

    def add(self, turns: Iterable[Turn]) -> None:
        """Write turns, and add them to the sums of their days, in one transaction."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            [(last,)] = connection.execute("SELECT coalesce(max(id), 0) FROM turns")
            connection.executemany(INSERT, turns)
            connection.execute(ADD, (last,))

    def sums(
        self,
        start: float,
        end: float,
        person: str | None = None,
        group: str | None = None,
        model: str | None = None,
    ) -> Sums:
        """Return the sums of turns that ended from ``start`` to before ``end``.

        Times are in seconds since 1970. Without ``person``, ``group`` or ``model``, all count.
        """
        chosen = {"person": person, "group": group, "model": model}
        given = {name: value for name, value in chosen.items() if value is not None}
        query = BETWEEN + "".join(f' AND "{name}" = ?' for name in given)
        values = (int(start * 1000), int(end * 1000), *given.values())
        with closing(self._connection().execute(query, values)) as rows:
            return Sums(*rows.fetchone())

    def is_due(self, job: str, seconds: int) -> bool:
        """Return whether a job was done by no worker for ``seconds``, and count it as done now."""
        now = int(time.time())
        connection = self._connection()
        changed = connection.execute(
            "INSERT INTO jobs VALUES (?, ?) ON CONFLICT DO UPDATE SET done = excluded.done "
            "WHERE done <= excluded.done - ? OR done > excluded.done",
            (job, now, seconds),
        )
        return changed.rowcount > 0

    def prune(self, rows: int, days: int, size: int) -> None:
        """Delete rows older than ``rows`` days and sums older than ``days`` days.

        While the file uses more than ``size`` bytes, also the oldest rows. Sums stay.
        """
        connection, now = self._connection(), time.time()
        before = int((now - rows * DAY) * 1000)
        oldest = f"DELETE FROM turns WHERE id IN (SELECT id FROM turns {{}} LIMIT {CHUNK})"
        while connection.execute(oldest.format("WHERE ended < ?"), (before,)).rowcount == CHUNK:
            pass
        connection.execute(
            "DELETE FROM days WHERE day < date(?, 'unixepoch')", (int(now - days * DAY),)
        )
        while self._used() > size:
            if not connection.execute(oldest.format("ORDER BY ended")).rowcount:
                break

    def _used(self) -> int:
        """Return the bytes that the content uses; deleted rows leave free pages in the file."""
        [pages] = self._connection().execute(
            "SELECT (page_count - freelist_count) * page_size"
            " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
        )
        return int(pages[0])

    def close(self) -> None:
        """Close the file. A later call opens it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
