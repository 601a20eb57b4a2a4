"""Waits with an end: a test that waits in vain fails with a sentence, and does not hang."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import AnyStr


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until a condition holds.

    Raises AssertionError that names ``what`` if it does not hold after ``seconds``.
    """
    end = time.monotonic() + seconds
    pause = threading.Event()  # some tests replace time.sleep
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:g} seconds in vain: {what}"
        pause.wait(0.02)


@contextmanager
def limited(
    process: subprocess.Popen[AnyStr], seconds: float = 60
) -> Iterator[subprocess.Popen[AnyStr]]:
    """Kill a program at the end of the block, even if an assertion in it has failed.

    After ``seconds`` it is killed earlier: a block that reads its output gets the end of it, and
    the test fails.
    """
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        process.kill()

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    # Popen's own end of a block waits for the program without a limit.
    with process:
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()
    assert not expired.is_set(), f"killed after {seconds:g} seconds: {process.args!r}"
