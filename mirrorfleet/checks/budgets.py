"""Budgets that cannot be counted, or that count something else than they say."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, Gateway
from mirrorfleet.config.budgets import Budget
from mirrorfleet.config.problems import Key, Problem, did_you_mean

MONTH = 32
"""Days of the longest month, and one for time zones."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway is None or not gateway.budgets:
        return
    if len(gateway.hosts) > 1 and gateway.redis is None:
        yield fleet.document.problem(
            ("gateway", "budgets"),
            f"{len(gateway.hosts)} gateways would count separately: each would allow the whole "
            "amount.",
            "Add gateway.redis, so that they share their counts.",
            given=(("gateway", "redis"),),
        )
    usage: Key = ("gateway", "usage")
    if gateway.usage is None:
        yield fleet.document.problem(
            ("gateway", "budgets"),
            "are counted from the ledger of gateway.usage, which is missing.",
            "Add usage: {} to the gateway.",
            given=(usage,),
        )
    elif gateway.usage.days < MONTH and "month" in {it.period for it in gateway.budgets.values()}:
        yield fleet.document.problem(
            (*usage, "days"),
            f"is {gateway.usage.days} days, but a budget has a period of a month.",
            f"Write {MONTH}d or more.",
            given=(("gateway", "budgets"),),
        )
    for budget in gateway.budgets.values():
        if budget.per == "person" and gateway.usage and gateway.usage.people == "off":
            yield fleet.document.problem(
                ("gateway", "budgets", budget.name, "per"),
                "is person, but the ledger has no people: gateway.usage.people is off.",
                "Write people: pseudonym, or a budget per group.",
                given=((*usage, "people"),),
            )
        key: Key = ("gateway", "budgets", budget.name)
        yield from _unit(fleet, gateway, key, budget)
        yield from _time_zone(fleet, key, budget)


def _unit(fleet: Fleet, gateway: Gateway, key: Key, budget: Budget) -> Iterator[Problem]:
    config = fleet.document.data["gateway"]["budgets"][budget.name]
    if (budget.tokens is None) == (budget.cost is None):
        has = "has both 'tokens' and 'cost'." if budget.tokens else "needs 'tokens' or 'cost'."
        yield fleet.document.problem(
            key, has, "Write one of them, for example tokens: 5M or cost: 20."
        )
    elif budget.cost is not None and "cache_read_weight" in config:
        yield fleet.document.problem(
            (*key, "cache_read_weight"),
            "applies to budgets in tokens, and this one is in dollars: their prices decide.",
            "Remove it.",
        )


def _time_zone(fleet: Fleet, key: Key, budget: Budget) -> Iterator[Problem]:
    from zoneinfo import available_timezones  # looks for the files of all time zones

    # A controller without the database of time zones: the gateways, which have it, will report.
    known = available_timezones()
    if known and budget.time_zone not in known:
        yield fleet.document.problem(
            (*key, "time_zone"),
            f"'{budget.time_zone}' is not a time zone of the IANA database.",
            did_you_mean(budget.time_zone, known) or "Write one such as Europe/Berlin.",
        )
