"""limits.json of a gateway: a file beside the keys, changed while it serves."""

from __future__ import annotations

import json
from typing import Any

from mirrorfleet.config.budgets import Budget
from mirrorfleet.config.limits import Turns
from mirrorfleet.planning import LitellmPlan


def limits_turns(gateway: LitellmPlan) -> bool:
    """Return whether the gateway limits turns of developers, or shows them their usage."""
    return bool(gateway.limits.turns or gateway.budgets or gateway.usage)


def desired(gateway: LitellmPlan) -> str:
    """Return limits.json; "" for a gateway that neither limits nor counts turns."""
    if not limits_turns(gateway):
        return ""
    turns = gateway.limits.turns
    names = {route.model: route.model for route in gateway.routes} | dict(gateway.aliases)
    content = {
        "version": 1,
        "names": dict(sorted(names.items())),
        "passthrough": gateway.passthrough.model if gateway.passthrough else "",
        "limits": {
            "fleet": _limits(turns.fleet),
            "per_person": _limits(turns.per_person),
            "people": {name: _limits(each) for name, each in sorted(turns.people.items())},
            "per_group": _limits(turns.per_group),
            "groups": {name: _limits(each) for name, each in sorted(turns.groups.items())},
            "models": {name: _limits(each) for name, each in sorted(turns.models.items())},
        },
        "budgets": [_budget(budget) for budget in gateway.budgets],
    }
    return json.dumps(content, indent=1) + "\n"


def _amount(value: float | None) -> float | None:
    return int(value) if value is not None and value == int(value) else value


def _limits(turns: Turns | None) -> dict[str, int]:
    return {name: value for name, value in vars(turns).items() if value} if turns else {}


def _budget(budget: Budget) -> dict[str, Any]:
    return {
        "name": budget.name,
        "per": budget.per,
        "unit": "tokens" if budget.tokens is not None else "cost",
        "amount": _amount(budget.cost if budget.tokens is None else budget.tokens),
        "exceptions": {name: _amount(value) for name, value in sorted(budget.exceptions.items())},
        "models": sorted(budget.models),
        "period": budget.period,
        "time_zone": budget.time_zone,
        "cache_read_weight": budget.cache_read_weight,
        "warn_at": budget.warn_at,
    }
