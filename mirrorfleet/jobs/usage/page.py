"""A report as one HTML page with pictures: nothing in it is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mirrorfleet.jobs.usage import charts
from mirrorfleet.jobs.usage.budgets import Share
from mirrorfleet.jobs.usage.period import Period
from mirrorfleet.jobs.usage.sums import Ledger, Sums, chosen, grouped, percentile, total
from mirrorfleet.jobs.usage.table import UNNAMED, again, count, figure, money, percent, subject

PEOPLE = 25
"""Most people, and most parts of budgets, on the page."""


def html(ledger: Ledger, period: Period, unread: Mapping[str, str], shares: Sequence[Share]) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    people = [each for each in _ranked(ledger, "person", "group") if each[0][0]]
    models = _ranked(ledger, "model")
    return environment.get_template("report.html.j2").render(
        period=period,
        unread=unread,
        total=_total(total(ledger.entries)),
        charts=[(title, note, Markup(svg)) for title, note, svg in _charts(ledger, period)],
        models=[_row(name or UNNAMED, sums) for (name,), sums in models],
        times=[_model(ledger, name) for (name,), _ in models],
        groups=[_row(name or UNNAMED, sums) for (name,), sums in _ranked(ledger, "group")],
        people=[
            {**_row(person, sums), "group": group} for (person, group), sums in people[:PEOPLE]
        ],
        shares=[_share_of_budget(share) for share in shares[:PEOPLE]],
        more_shares=max(0, len(shares) - PEOPLE),
        near=sum(share.is_near and not share.is_spent for share in shares),
        spent=sum(share.is_spent for share in shares),
        more=max(0, len(people) - PEOPLE),
    )


def _ranked(ledger: Ledger, *by: str) -> list[tuple[tuple[str, ...], Sums]]:
    """Return sums by columns, those with the most tokens first."""
    return sorted(grouped(ledger.entries, by).items(), key=lambda each: -each[1].tokens)


def _charts(ledger: Ledger, period: Period) -> list[tuple[str, str, str]]:
    """Return title, explanation and SVG of each chart; none if there are no turns."""
    if not ledger.entries:
        return []
    days = period.days
    prompts = "Tokens of prompts and answers per day, those of the prompt cache included."
    by_model = _series(ledger, days, "model", lambda sums: sums.tokens)
    by_group = _series(ledger, days, "group", lambda sums: sums.tokens)
    daily = grouped(ledger.entries, ("day",))
    cached = [(daily[day,].cached if (day,) in daily else None) for day in days]
    troubles = {
        name: [getattr(daily.get((day,), Sums()), column) for day in days]
        for name, column in (
            ("failed", "failed"),
            ("cut by the client", "cut"),
            ("answered by a fallback", "fallback"),
        )
    }
    return [
        ("Use by model", prompts, _bars("Use by model", days, by_model)),
        ("Use by group", prompts, _bars("Use by group", days, by_group)),
        (
            "Prompt cache",
            "Share of the prompts' tokens that came from the prompt cache: more is faster and "
            "cheaper.",
            charts.lines(
                "Share of cache reads",
                days,
                {"from the cache": cached},
                lambda value: f"{value:.0%}",
            ),
        ),
        (
            "Time to the first token",
            "In seconds: half of the streamed answers (p50) and 95 of 100 (p95) began sooner.",
            _times(ledger, days, "first"),
        ),
        (
            "Time to the end of an answer",
            "In seconds, of complete answers.",
            _times(ledger, days, "latency"),
        ),
        (
            "Errors and fallbacks",
            "Turns per day that failed, that the client cut, or that another model answered.",
            charts.bars("Errors and fallbacks", days, troubles, lambda value: f"{value:,.0f}"),
        ),
    ]


def _series(
    ledger: Ledger, days: Sequence[str], column: str, value: Callable[[Sums], int]
) -> dict[str, Sequence[float]]:
    found = grouped(ledger.entries, (column, "day"))
    names = dict.fromkeys(name for name, _ in found)
    return {
        name or UNNAMED: [value(found.get((name, day), Sums())) for day in days] for name in names
    }


def _bars(title: str, days: Sequence[str], series: charts.Series) -> str:
    return charts.bars(title, days, series, lambda value: count(round(value)))


def _times(ledger: Ledger, days: Sequence[str], kind: str) -> str:
    series: dict[str, list[float | None]] = {}
    for part in (50, 95):
        times = [percentile(chosen(ledger.times, kind, day=day), part / 100) for day in days]
        series[f"p{part}"] = [None if each is None else each / 1000 for each in times]
    title = "Time to the first token" if kind == "first" else "Time to the end of an answer"
    return charts.lines(title, days, series, lambda value: f"{value:.3g} s")


def _total(sums: Sums) -> dict[str, Any]:
    turns, failed, _, prompt, cached, output, cost = _cells(sums)
    return {
        "has_turns": bool(sums.turns),
        "tiles": [
            ("turns", turns),
            ("tokens of prompts", prompt),
            ("from the cache", cached or "none"),
            ("tokens of answers", output),
            ("cost", cost or "none"),
            ("failed", failed or "0%"),
        ],
    }


def _row(name: str, sums: Sums) -> dict[str, Any]:
    return {"name": name, "group": "", "cells": _cells(sums)}


def _cells(sums: Sums) -> list[str]:
    return [
        f"{sums.turns:,}",
        _share(sums.failed, sums.turns),
        _share(sums.fallback, sums.turns),
        count(sums.prompt),
        percent(sums.cached),
        count(sums.output),
        money(sums),
    ]


def _model(ledger: Ledger, name: str) -> dict[str, Any]:
    """Return the times of a model's turns."""

    def seconds(kind: str, part: float) -> str:
        found = percentile(chosen(ledger.times, kind, model=name), part)
        return "" if found is None else f"{found / 1000:.3g} s"

    times = [seconds(kind, part) for kind in ("first", "latency") for part in (0.5, 0.95)]
    return {"name": name or UNNAMED, "group": "", "cells": times}


def _share_of_budget(share: Share) -> dict[str, Any]:
    return {
        "budget": share.budget.name,
        "name": subject(share),
        "used": figure(share.used, share),
        "amount": figure(share.amount, share),
        "percent": share.percent,
        "state": "spent" if share.is_spent else "near" if share.is_near else "",
        "again": again(share),
    }


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if part else ""
