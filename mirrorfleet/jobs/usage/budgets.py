"""Pure: what is used of the budgets of a fleet now, as the ledgers of all gateways have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mirrorfleet.config.budgets import Budget
from mirrorfleet.jobs.usage.sums import DOLLAR, Used
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm.files.mirrorfleet_periods import period


class Share(NamedTuple):
    """What a person, a group or a model has used of a budget; ``end`` is that of the period."""

    budget: Budget
    name: str
    used: float
    amount: float
    end: float

    @property
    def unit(self) -> str:
        return "cost" if self.budget.tokens is None else "tokens"

    @property
    def percent(self) -> int:
        """The used part, rounded down: 100 is spent."""
        return int(self.used * 100 // self.amount) if self.amount else 100

    @property
    def is_spent(self) -> bool:
        return self.used >= self.amount

    @property
    def is_near(self) -> bool:
        return self.used * 100 >= self.amount * self.budget.warn_at


def starts(budgets: Iterable[Budget], now: float) -> list[int]:
    """Return the starts of the current periods, in seconds since 1970."""
    return sorted({int(period(each.period, each.time_zone, now).start) for each in budgets})


def shares(used: Iterable[Used], gateway: LitellmPlan, now: float) -> list[Share]:
    """Return what is used of each budget, the largest part first.

    The names are those of the ledger: the exceptions of a budget do not apply to pseudonyms.
    """
    models = {route.model for route in gateway.routes} | set(gateway.aliases.values())
    # As the gateways count: turns of the passthrough have the provider's names of models.
    rest = gateway.passthrough.model if gateway.passthrough else ""
    counted = [
        each._replace(model=rest) if rest and each.model not in models else each for each in used
    ]
    found = [share for budget in gateway.budgets for share in _shares(budget, counted, now)]
    return sorted(found, key=lambda it: (-it.percent, it.budget.name, it.name))


def _shares(budget: Budget, used: Iterable[Used], now: float) -> Iterator[Share]:
    its, spent = period(budget.period, budget.time_zone, now), dict[str, float]()
    for each in used:
        if each.start == int(its.start) and (not budget.models or each.model in budget.models):
            name = getattr(each, budget.per)
            spent[name] = spent.get(name, 0) + _part(each, budget)
    most = budget.cost if budget.tokens is None else budget.tokens
    for name, part in spent.items():
        amount = budget.exceptions.get(name, most)
        if name and amount is not None:
            yield Share(budget, name, part, amount, its.end)


def _part(used: Used, budget: Budget) -> float:
    """Return what turns use of a budget, in its unit."""
    if budget.tokens is None:
        return used.cost / DOLLAR
    fresh = used.input + used.cache_write + used.output
    return fresh + used.cache_read * budget.cache_read_weight


def plain(share: Share) -> dict[str, Any]:
    """Return a share for JSON."""
    is_cost = share.unit == "cost"
    return {
        "budget": share.budget.name,
        "of": share.budget.per,
        "name": share.name,
        "unit": share.unit,
        "amount": share.amount,
        "used": round(share.used, 6) if is_cost else round(share.used),
        "percent": share.percent,
        "warning": share.is_near,
        "spent": share.is_spent,
        "resets": datetime.fromtimestamp(share.end, UTC).isoformat(),
    }
