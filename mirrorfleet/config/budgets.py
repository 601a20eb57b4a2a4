"""Budgets of people, groups and models in tokens or US dollars, per day, week or month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mirrorfleet.config.reader import Section

FACTORS = {"k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True)
class Budget:
    """``tokens`` or ``cost`` is set. In ``exceptions``, ``None`` stands for no budget."""

    name: str
    per: Literal["person", "group", "model"]
    tokens: float | None
    cost: float | None
    period: Literal["day", "week", "month"]
    time_zone: str
    models: tuple[str, ...]
    exceptions: Mapping[str, float | None]
    cache_read_weight: float
    warn_at: int


def budgets(section: Section) -> dict[str, Budget]:
    """Read ``gateway.budgets``."""
    return {each.name: _budget(each) for each in section.mappings()}


def _budget(section: Section) -> Budget:
    tokens, exceptions = section.get("tokens"), section.get("exceptions") or {}
    return Budget(
        name=section.name,
        per=section["per"],
        tokens=None if tokens is None else _amount(tokens),
        cost=section.get("cost"),
        period=section["period"],
        time_zone=section["time_zone"],
        models=section.strings("models"),
        exceptions={
            name: None if value == "unlimited" else _amount(value)
            for name, value in exceptions.items()
        },
        cache_read_weight=section["cache_read_weight"],
        warn_at=section["warn_at"],
    )


def _amount(value: float | str) -> float:
    if isinstance(value, str):
        return float(value[:-1]) * FACTORS[value[-1]]
    return value
