"""The thread of a worker that writes turns to the ledger, in batches.

A turn waits at most ``PAUSE`` for its batch: a killed worker loses no more. While the file cannot
be written, turns wait in memory, the newest ``MOST`` of them.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_ledger import Ledger, Turn
else:
    from mirrorfleet_ledger import Ledger, Turn

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own: the same level and JSON format

PAUSE = 0.3
"""Seconds in which turns gather to a batch."""

RETRY = 5.0
"""Seconds until another attempt, if the file cannot be written."""

MOST = 20_000
"""Turns that wait in memory, about 10 MB."""

BATCH = 500
"""Most turns of one transaction."""

HOUR = 3600

SIZE = 2 * 1024**3
"""Bytes of the file above which the oldest rows are deleted: about eight million turns."""


class Writer:
    """Writes turns to a ledger, and deletes old ones once per hour."""

    def __init__(self, ledger: Ledger, rows: int, days: int) -> None:
        """``rows``, ``days``: how many days rows and sums are kept."""
        self._ledger, self._keep = ledger, (rows, days)
        self._waiting: deque[Turn] = deque()
        self._lost = 0
        self._failed = ""
        self._wake, self._stop = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, turn: Turn) -> None:
        """Take a turn; the thread starts with the first. After ``stop``, write it at once."""
        if len(self._waiting) >= MOST:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(turn)
        if self._stop.is_set():
            self._write()
        elif self._thread is None:
            self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
            self._thread.start()
        self._wake.set()

    def stop(self) -> None:
        """Write what waits, and end the thread."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self._write()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._stop.wait(PAUSE)
            self._wake.clear()
            if not self._write():
                self._stop.wait(RETRY)
                self._wake.set()
        # A connection of SQLite's belongs to the thread that opened it.
        with self._lock:
            self._ledger.close()

    def _write(self) -> bool:
        """Write all waiting turns, and return whether that succeeded. Any thread may call it."""
        with self._lock:
            batch: list[Turn] = []
            try:
                while batch := self._taken():
                    self._ledger.add(batch)
                if self._ledger.is_due("prune", HOUR):
                    self._ledger.prune(*self._keep, SIZE)
            except (sqlite3.Error, OSError) as error:
                self._waiting.extendleft(reversed(batch))
                self._report(f"{type(error).__name__}: {error}")
                self._ledger.close()
                return False
            finally:
                if threading.current_thread() is not self._thread:
                    self._ledger.close()
            self._report("")
            return True

    def _taken(self) -> list[Turn]:
        """Take the oldest turns that wait. Meanwhile ``add`` may remove others."""
        taken: list[Turn] = []
        with suppress(IndexError):
            while len(taken) < BATCH:
                taken.append(self._waiting.popleft())
        return taken

    def _report(self, failed: str) -> None:
        """Log the first failure of a kind, and what it cost once it is over."""
        if failed and failed != self._failed:
            log.error("mirrorfleet: turns cannot be recorded: %s: %s", self._ledger.path, failed)
        elif not failed and self._failed:
            log.error("mirrorfleet: turns are recorded again; %d are lost", self._lost)
            self._lost = 0
        self._failed = failed
