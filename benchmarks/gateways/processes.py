"""What the processes of a contestant cost: processor time and memory, read from /proc."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(session: int) -> float:
    """Return the seconds of processor time that a session's processes have used.

    Those that have ended are counted at who waited for them.
    """
    return sum(sum(map(int, stat[11:15])) for _, stat in _members(session)) / TICKS


def memory(session: int) -> int:
    """Return the bytes that a session's processes take; what they share is counted once."""
    total = 0
    for process, _ in _members(session):
        with suppress(OSError):
            rollup = (process / "smaps_rollup").read_text("utf-8")
            total += sum(int(size) for size in re.findall(r"^Pss: +(\d+) kB", rollup, re.M)) * 1024
    return total


def _members(session: int) -> Iterator[tuple[Path, list[str]]]:
    """Yield each process of a session, and the fields of its stat from the third on."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = (process / "stat").read_text("utf-8").rpartition(")")[2].split()
            if int(stat[3]) == session:
                yield process, stat
