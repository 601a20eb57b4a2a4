"""Records of turns that are deleted before their sums, and prices that say two things."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem

PRICES = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
"""LiteLLM's names for what `price` sets."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    usage = fleet.gateway and fleet.gateway.usage
    if usage and usage.days < usage.rows:
        yield fleet.document.problem(
            ("gateway", "usage", "days"),
            f"is {usage.days} days, but rows are kept for {usage.rows} days.",
            "Keep the sums of days at least as long as the rows: set gateway.usage.days.",
            given=(("gateway", "usage", "rows"),),
        )
    for model in fleet.prices:
        names = [name for name in PRICES if name in fleet.information[model]]
        if names:
            yield fleet.document.problem(
                ("models", model, "model_info", names[0]),
                "is a second price of this model, beside 'price'.",
                f"Remove it, or remove models.{model}.price.",
                given=(("models", model, "price"),),
            )
