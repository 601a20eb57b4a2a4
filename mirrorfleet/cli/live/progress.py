"""Pure: the progress of long work, from the lines that hosts and uploads print."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from mirrorfleet.runtime.change_summary import some

WINDOW = 30.0
"""Seconds over which a rate is measured."""

INTERVAL = 30.0
"""Seconds between two lines about the same work, where lines are appended."""

MOST = 6
"""The most lines of a terminal that show work; they count the rest."""

_LINE = re.compile(r"^(?P<what>\S.*?): (?P<done>\d+\.\d\d) of (?P<total>\d+\.\d\d) GB\b")


@dataclass
class Work:
    """The bytes of one piece of work on a host, in GB, with the time of each report in seconds.

    ``printed`` has the time of the last printed line, and what was done then.
    """

    host: str
    what: str
    total: float = 0
    reports: deque[tuple[float, float]] = field(default_factory=deque)
    printed: tuple[float, float] | None = None

    def add(self, now: float, done: float, total: float) -> None:
        """Take a report. Older ones than a window before it no longer count for the rate."""
        self.total = total
        self.reports.append((now, done))
        while len(self.reports) > 2 and now - self.reports[0][0] > WINDOW:
            self.reports.popleft()

    @property
    def done(self) -> float:
        return self.reports[-1][1] if self.reports else 0

    @property
    def rate(self) -> float:
        """Return GB per second; 0 before the second report."""
        (first, before), (last, done) = self.reports[0], self.reports[-1]
        return max(done - before, 0) / (last - first) if last > first else 0

    def take_turn(self, now: float) -> bool:
        """Return whether to print a line now: for the first report, each interval, and the end."""
        if self.printed is not None:
            at, done = self.printed
            has_ended = self.done >= self.total > done
            if not has_ended and (now - at < INTERVAL or done >= self.total):
                return False
        self.printed = (now, self.done)
        return True

    def __str__(self) -> str:
        return f"{self.what} on {self.host}: {_amount(self.done, self.total, self.rate)}"


class Works:
    """The work of one step of a run, by host and name."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Work] = {}

    def take(self, host: str, line: str, now: float) -> Work | None:
        """Take a line of a host. Return the work that it reports; ``None`` if it is another line.

        Lines look like ``weights coder: 12.40 of 63.00 GB (19%)``.
        """
        match = _LINE.match(line)
        if match is None:
            return None
        what = match["what"]
        work = self._found.setdefault((host, what), Work(host, what))
        work.add(now, float(match["done"]), float(match["total"]))
        return work

    def ended(self, host: str) -> None:
        """Forget the work of a host whose step has ended."""
        for key in [key for key in self._found if key[0] == host]:
            del self._found[key]

    def clear(self) -> None:
        """Forget all work."""
        self._found.clear()

    def lines(self) -> list[str]:
        """Return a line for each unfinished piece of work. The last one sums those without one."""
        found = [work for work in self._found.values() if work.done < work.total]
        if len(found) <= MOST:
            return [str(work) for work in found]
        rest = found[MOST - 1 :]
        sums = (sum(getattr(work, name) for work in rest) for name in ("done", "total", "rate"))
        names = some(list(dict.fromkeys(work.host for work in rest)))
        return [*(str(work) for work in found[: MOST - 1]), f"{names}: {_amount(*sums)}"]


def _amount(done: float, total: float, rate: float) -> str:
    speed = f", {_figures(rate * 1000)} MB/s" if rate else ""
    return f"{_figures(done)} of {_figures(total)} GB{speed}"


def _figures(number: float) -> str:
    """Return a number with three significant digits at most, never as a power of ten."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"
