"""The answer to `GET /mirrorfleet/usage`: what the holder of a key has used, and what is left.

    {"person": "ada", "group": "team",
     "budgets": [{"name": "daily", "of": "person", "unit": "tokens", "amount": 5000000,
                  "used": 4100000, "left": 900000, "percent": 82, "warning": true, "spent": false,
                  "resets": "2026-12-01T00:00:00+00:00"}],
     "limits": [{"of": "person", "requests_per_minute": 60, "parallel": null}],
     "week": {"since": "2026-11-30T00:00:00+00:00", "turns": 120, "prompt": 9000000,
              "cache_read": 8100000, "output": 84000, "cost": 0.0}}

No developer sees another person's figures. Those of the own group and of models are sums.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_budgets import Budgets, State
    from mirrorfleet.roles.litellm.files.mirrorfleet_limits_file import Spender
else:
    from mirrorfleet_budgets import Budgets, State
    from mirrorfleet_limits_file import Spender


async def report(budgets: Budgets, spender: Spender) -> dict[str, Any]:
    """Return what a person has used, and the limits that apply to the person."""
    states = await budgets.states(spender, None)
    limits = budgets.rules().limits_of(spender.person, spender.group, "")
    return {
        "person": spender.person,
        "group": spender.group,
        "budgets": [_budget(state) for state in states],
        "limits": [
            {"of": limit.subject.partition(":")[0], **_without_subject(limit._asdict())}
            for limit in limits
        ],
        # A ledger without people has no week of a person.
        "week": _week(await budgets.week(spender)) if spender.recorded else None,
    }


def _without_subject(limit: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in limit.items() if name != "subject"}


def _budget(state: State) -> dict[str, Any]:
    budget, amount = state.share.budget, state.share.amount
    return {
        "name": budget.name,
        "of": budget.per,
        **({"model": state.share.name} if budget.per == "model" else {}),
        "unit": budget.unit,
        "amount": amount,
        "used": _rounded(state.used, budget.unit),
        "left": max(0, _rounded(amount - state.used, budget.unit)),
        "percent": state.percent,
        "warning": state.warns,
        "spent": state.is_spent,
        "resets": _iso(state.end),
    }


def _week(week: dict[str, float]) -> dict[str, Any]:
    counts = {name: _rounded(value, name) for name, value in week.items() if name != "since"}
    return {"since": _iso(week["since"]), **counts}


def _rounded(value: float, unit: str) -> float:
    return round(value, 4) if unit == "cost" else round(value)


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat()
