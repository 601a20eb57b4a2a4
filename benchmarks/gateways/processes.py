"""CPU time and memory of a contestant's processes, from /proc."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(session: int) -> float:
    """Return the CPU time in seconds that a session's processes have used.

    The time of ended processes counts for the parent that waited for them.
    """
    return sum(sum(map(int, stat[11:15])) for _, stat in _members(session)) / TICKS


def memory(session: int) -> int:
    """Return the memory of a session's processes in bytes; shared memory counts once."""
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
