"""How workers that end on purpose follow each other: one at a time, each when the last is replaced.

A worker takes no turns from its end until another one has started in its place. All of a gateway's
at once would be the whole gateway.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import random
import tempfile
from pathlib import Path

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own, so that level and JSON format are its

PAUSE = 10.0
"""Seconds between two looks whether another worker is still at its end, on average."""

SETTLE = 60.0
"""Seconds after which whoever came in the place of a worker serves; 6 to 16 were measured."""

LOCK = Path(tempfile.gettempdir()) / "mirrorfleet-succession"
"""Locked by the one worker of this gateway that is to end."""


async def turn() -> int:
    """Wait until this worker may end. Returned is what keeps the others from it until it is closed.

    Nobody closes it but who stays after all: that a worker is gone, with however long its turns
    took, is what the next one waits for.
    """
    while (lock := _lock()) is None:
        await asyncio.sleep(random.uniform(0, 2 * PAUSE))
    await asyncio.sleep(SETTLE)
    return lock


def _lock() -> int | None:
    try:
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        log.warning("mirrorfleet: cannot lock %s (%s)", LOCK, type(error).__name__)
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
