"""The budgets of a turn or of a person: what is used of them, and the answer if one is spent."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_key_file import Refused
    from mirrorfleet.roles.litellm.files.mirrorfleet_limits_file import (
        Budget,
        LimitsFile,
        Rules,
        Share,
        Spender,
    )
    from mirrorfleet.roles.litellm.files.mirrorfleet_periods import shown
    from mirrorfleet.roles.litellm.files.mirrorfleet_totals import Totals
else:
    from mirrorfleet_key_file import Refused
    from mirrorfleet_limits_file import Budget, LimitsFile, Rules, Share, Spender
    from mirrorfleet_periods import shown
    from mirrorfleet_totals import Totals

RATIO = Gauge(
    "mirrorfleet_budget_used_ratio",
    "Used part of a budget in its current period, when it was last checked",
    ["budget", "name"],
    multiprocess_mode="mostrecent",
)
RESETS = Gauge(
    "mirrorfleet_budget_resets_timestamp_seconds",
    "End of the period of mirrorfleet_budget_used_ratio, which holds until then",
    ["budget", "name"],
    multiprocess_mode="mostrecent",
)
WARNS = Gauge(
    "mirrorfleet_budget_warn_ratio",
    "Used part of a budget from which on answers warn",
    ["budget"],
    multiprocess_mode="mostrecent",
)
REFUSED_TURNS = Counter(
    "mirrorfleet_budget_refused", "Requests refused because a budget is spent", ["budget", "name"]
)

WEEK = ("turns", "prompt", "cache_read", "output", "cost")
"""What a person sees of the week besides the budgets: units of mirrorfleet_spending.py."""


class State(NamedTuple):
    """What is used of a budget, by all gateways, until the end of the period."""

    share: Share
    used: float
    end: float

    @property
    def is_spent(self) -> bool:
        return self.used >= self.share.amount

    @property
    def warns(self) -> bool:
        return self.used * 100 >= self.share.amount * self.share.budget.warn_at

    @property
    def percent(self) -> int:
        """The used part, rounded down: 100 is spent."""
        return int(self.used * 100 // self.share.amount) if self.share.amount else 100


@dataclass
class Turn:
    """A turn that runs. ``refused`` is set if a fallback was refused."""

    spender: Spender
    model: str
    refused: Refused | None = None


TURN: ContextVar[Turn | None] = ContextVar("mirrorfleet_turn", default=None)
"""The turn of the current task, for the hook that LiteLLM calls before each deployment."""


class Budgets:
    """The budgets of limits.json."""

    def __init__(self, file: LimitsFile, totals: Totals) -> None:
        self._file = file
        self._totals = totals
        self._rules: Rules | None = None
        self._counted: tuple[Budget, ...] = ()

    def rules(self) -> Rules:
        """Return the content of limits.json. Raises ``Refused``."""
        return self._file.rules()

    def update(self) -> Rules:
        """Read what has changed of limits.json and of the ledger. Raises ``Refused``."""
        rules = self.rules()
        if rules is not self._rules:
            self._rules, self._counted = rules, (*_week(rules), *rules.budgets)
            for budget in rules.budgets:
                WARNS.labels(budget.name).set(budget.warn_at / 100)
        models = frozenset(rules.names.values())
        self._totals.spending.update(self._counted, time.time(), models, rules.passthrough)
        return rules

    async def states(self, spender: Spender, model: str | None) -> list[State]:
        """Return the budgets of a turn with a model; without one, all of a person's."""
        shares = list(self.update().budgets_of(spender, model))
        ends = [self._totals.spending.period(share.budget).end for share in shares]
        used = await self._totals.of([(share.budget, share.recorded) for share in shares])
        states = [State(*each) for each in zip(shares, used, ends, strict=True)]
        for share, spent, end in states:
            labels = share.budget.name, share.recorded
            RATIO.labels(*labels).set(spent / share.amount if share.amount else 1)
            RESETS.labels(*labels).set(end)
            REFUSED_TURNS.labels(*labels)  # a series from 0: Prometheus sees the first refusal
        return states

    async def week(self, spender: Spender) -> dict[str, float]:
        """Return what a person has used this week at all gateways, and its start."""
        self.update()
        counted = self._counted[: len(WEEK)]
        since = self._totals.spending.period(counted[0]).start
        totals = await self._totals.of([(budget, spender.recorded) for budget in counted])
        return {"since": since, **dict(zip(WEEK, totals, strict=True))}

    async def publish(self, everything: bool) -> None:
        """Publish what is used here: what has changed, or everything."""
        try:
            self.update()
        except Refused:
            return  # every turn is refused, with a line in the log
        await self._totals.publish(everything)


def _week(rules: Rules) -> tuple[Budget, ...]:
    """Return budgets without an amount, which count what a person sees of the week."""
    zone = rules.budgets[0].time_zone if rules.budgets else "UTC"
    return tuple(
        Budget(f"week.{unit}", "person", unit, math.inf, {}, frozenset(), "week", zone, 1, 100)
        for unit in WEEK
    )


def refusal(states: Sequence[State]) -> Refused | None:
    """Return the answer if a budget is spent: of several, the one that resets last."""
    spent = max((each for each in states if each.is_spent), key=lambda it: it.end, default=None)
    if spent is None:
        return None
    budget, name = spent.share.budget, spent.share.name
    REFUSED_TURNS.labels(budget.name, spent.share.recorded).inc()
    subject = name if budget.per == "person" else f"the {budget.per} {name}"
    used, total = (_figure(value, budget.unit) for value in (spent.used, spent.share.amount))
    unit = "" if budget.unit == "cost" else " tokens"
    text = (
        f"The {ADJECTIVES[budget.period]} budget '{budget.name}' of {subject} is spent: {used} of "
        f"{total}{unit}. It starts again on {shown(spent.end, budget.time_zone)}."
    )
    seconds = max(1, math.ceil(spent.end - time.time()))
    # x-should-retry: Claude Code stops after this request, and shows the text.
    headers = {"x-should-retry": "false", "retry-after": str(seconds)}
    return Refused(429, text, "billing_error", headers)


ADJECTIVES = {"day": "daily", "week": "weekly", "month": "monthly"}


def warning(states: Sequence[State]) -> str:
    """Return the header for budgets that are nearly spent; "" if none is."""
    return ", ".join(
        f"{state.share.budget.name}; used={state.percent}%; resets={int(state.end)}"
        for state in states
        if state.warns
    )


def _figure(value: float, unit: str) -> str:
    return f"${value:,.2f}" if unit == "cost" else f"{value:,.0f}"
