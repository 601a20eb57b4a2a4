"""What this gateway's turns have used in the current periods, by budget: sums of its ledger.

Each worker reads the sums at its start and when a period ends, and then only new rows of the ledger
(mirrorfleet_ledger.py). Full days of UTC are read from the sums of days: a month costs little more
than a day, and deleted rows still count.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_limits_file import Budget
    from mirrorfleet.roles.litellm.files.mirrorfleet_periods import Period, period
else:
    from mirrorfleet_limits_file import Budget
    from mirrorfleet_periods import Period, period

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own: the same level and JSON format

DAY = 86_400
"""Seconds."""

DOLLAR = 10**9
"""The ledger counts costs in billionths of a US dollar."""

HOUR = 3600
"""Seconds after which all sums are read again: so no defect of a worker lasts."""


class Used(NamedTuple):
    """A turn that ended at ``ended`` seconds since 1970, or the sum of turns of equal names."""

    ended: float
    person: str
    group: str
    model: str
    turns: int
    input: int
    cache_read: int
    cache_write: int
    output: int
    cost: int


NAMES = '"person", "group", "model"'
TOKENS = ("input", "cache_read", "cache_write", "output")

TURNS = f"""
SELECT ended, {NAMES}, 1, {", ".join(TOKENS)}, coalesce(cost, 0), id FROM turns
WHERE id > ? ORDER BY id
"""

OF_TURNS = f"""
SELECT ?, {NAMES}, count(*), {", ".join(f"sum({name})" for name in TOKENS)}, total(cost)
FROM turns WHERE ended >= ? AND ended < ? GROUP BY {NAMES}
"""

OF_DAYS = f"""
SELECT ?, {NAMES}, sum(turns), {", ".join(f"sum({name})" for name in TOKENS)}, total(cost)
FROM days WHERE day >= date(?, 'unixepoch') GROUP BY {NAMES}
"""


class Spending:
    """What this gateway's turns have used. Call ``update`` before you read it.

    Without a ledger, or before its file exists, that is nothing.
    """

    def __init__(self, ledger: Path | None) -> None:
        self._ledger = ledger
        self._connection: sqlite3.Connection | None = None
        self._last = 0
        self._read = -math.inf
        self._budgets: Sequence[Budget] = ()
        self._periods: dict[Budget, Period] = {}
        self._amounts: dict[Budget, dict[str, float]] = {}
        self._changed: set[tuple[Budget, str]] = set()
        self._is_logged = False
        self._models: frozenset[str] = frozenset()
        self._rest = ""

    def update(
        self,
        budgets: Sequence[Budget],
        now: float,
        models: frozenset[str] = frozenset(),
        rest: str = "",
    ) -> None:
        """Count the turns since the last call.

        A model that is not in ``models`` counts as ``rest``: turns of the passthrough have the
        provider's names.
        """
        self._models, self._rest = models, rest
        try:
            is_over = any(not it.start <= now < it.end for it in self._periods.values())
            if budgets != self._budgets or is_over or not self._read <= now < self._read + HOUR:
                self._read_all(budgets, now)
            elif self._ledger:
                for *fields, last in self._rows(TURNS, self._last):
                    self._last = last
                    used = Used(*fields)
                    self._add(used._replace(ended=used.ended / 1000), self._budgets)
        except sqlite3.Error as error:
            self._read = -math.inf  # read all again, once it works
            if self._ledger and self._ledger.exists() and not self._is_logged:
                self._is_logged = True
                log.error("mirrorfleet: budgets are not counted here: %s: %s", self._ledger, error)

    def _read_all(self, budgets: Sequence[Budget], now: float) -> None:
        self._budgets = budgets
        self._periods = {it: period(it.period, it.time_zone, now) for it in budgets}
        self._amounts = {it: {} for it in budgets}
        self._changed.clear()
        if self._ledger is None:
            return
        by_start: dict[float, list[Budget]] = {}
        for budget, its in self._periods.items():
            by_start.setdefault(its.start, []).append(budget)
        self._rows("BEGIN")  # one state of the file for all queries
        try:
            [(self._last,)] = self._rows("SELECT coalesce(max(id), 0) FROM turns")
            for start, counting in by_start.items():
                for used in self._since(start):
                    self._add(used, counting)
        finally:
            self._rows("COMMIT")
        self._read = now

    def _since(self, start: float) -> Iterator[Used]:
        """Yield sums from a time until now: turns of its day of UTC, then the days after it."""
        midnight = -(-start // DAY) * DAY
        for row in self._rows(OF_TURNS, start, start * 1000, midnight * 1000):
            yield Used(*row)
        for row in self._rows(OF_DAYS, start, midnight):
            yield Used(*row)

    def _rows(self, query: str, *values: float) -> list[Any]:
        if self._connection is None:
            self._connection = sqlite3.connect(
                f"file:{self._ledger}?mode=ro", uri=True, timeout=1, isolation_level=None
            )
        return self._connection.execute(query, values).fetchall()

    def _add(self, used: Used, budgets: Iterable[Budget]) -> None:
        if self._rest and used.model not in self._models:
            used = used._replace(model=self._rest)
        for budget in budgets:
            its = self._periods[budget]
            if its.start <= used.ended < its.end and (
                not budget.models or used.model in budget.models
            ):
                name: str = getattr(used, budget.per)
                amounts = self._amounts[budget]
                amounts[name] = amounts.get(name, 0.0) + amount(used, budget)
                self._changed.add((budget, name))

    def period(self, budget: Budget) -> Period:
        """Return the current period of a budget."""
        return self._periods[budget]

    def amount(self, budget: Budget, name: str) -> float:
        """Return what a person, a group or a model has used here in the current period."""
        return self._amounts[budget].get(name, 0.0)

    def amounts(self) -> Mapping[Budget, Mapping[str, float]]:
        """Return all amounts."""
        return self._amounts

    def changed(self) -> set[tuple[Budget, str]]:
        """Return the amounts that have changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed


def amount(used: Used, budget: Budget) -> float:
    """Return what turns use of a budget, in its unit."""
    if budget.unit == "tokens":
        fresh = used.input + used.cache_write + used.output
        return fresh + used.cache_read * budget.cache_read_weight
    if budget.unit == "cost":
        return used.cost / DOLLAR
    if budget.unit == "prompt":
        return used.input + used.cache_write + used.cache_read
    value: int = getattr(used, budget.unit)
    return value
