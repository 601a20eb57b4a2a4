"""The progress of an upload: a line every few seconds, in the form that hosts print theirs."""

from __future__ import annotations

import time

from pyinfra import logger
from pyinfra.context import ctx_host

from mirrorfleet.runtime import run

INTERVAL = 5.0
"""Seconds between two lines; shorter uploads print none."""


class Meter:
    """Prints how much of ``total`` bytes the current host has received.

    ``what`` names the work in the lines; ``before`` bytes had arrived earlier.
    """

    def __init__(self, what: str, total: int, before: int = 0) -> None:
        self.what, self.total, self.before = what, total, before
        self._next = time.monotonic() + INTERVAL

    def sent(self, count: int) -> None:
        """Take the bytes that were sent since the meter began, and print a line if one is due."""
        now = time.monotonic()
        if now < self._next or not ctx_host.isset():  # type: ignore[no-untyped-call]
            return
        self._next = now + INTERVAL
        run.host().log(line(self.what, self.before + count, self.total), logger.info)


def line(what: str, done: int, total: int) -> str:
    """Return a line of progress."""
    return f"{what}: {done / 1e9:.2f} of {total / 1e9:.2f} GB"
