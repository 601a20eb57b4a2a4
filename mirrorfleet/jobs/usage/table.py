"""A report as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mirrorfleet import terminal
from mirrorfleet.jobs.usage.budgets import Share
from mirrorfleet.jobs.usage.period import Period
from mirrorfleet.jobs.usage.sums import Ledger, Sums, chosen, grouped, percentile, plain, total
from mirrorfleet.roles.litellm.files.mirrorfleet_periods import shown

UNNAMED = "-"
"""A name that the ledger does not have: of the master key, or with `people: off`."""


def show(
    ledger: Ledger,
    by: Sequence[str],
    period: Period,
    unread: Mapping[str, str],
    shares: Sequence[Share],
) -> None:
    """Print the table, below it budgets that are nearly spent, and gateways that were not read."""
    console = terminal.console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"Usage, {period.since} to {period.until}")
    for column in by:
        table.add_column(column, overflow="fold")
    for column in ("turns", "failed", "prompt", "cached", "answer", "cost"):
        table.add_column(column, justify="right", no_wrap=True)
    for key, sums in grouped(ledger.entries, by).items():
        table.add_row(*(Text(name or UNNAMED) for name in key), *_cells(sums))
    if table.row_count > 1 or not by:
        table.add_section()
        name = ["total", *[""] * (len(by) - 1)] if by else []
        table.add_row(*name, *_cells(total(ledger.entries)), style="bold")
    console.print(table)
    if not ledger.entries:
        console.print(Text("No turns were recorded in these days."))
    if near := [share for share in shares if share.is_near]:
        console.print(_near(near))
    for gateway, reason in unread.items():
        console.print(Text(f"{gateway}: {reason}: its turns are missing here", style="red"))


def _near(shares: Sequence[Share]) -> Table:
    """Return the budgets that are nearly spent, or spent, as a table."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="Budgets that are nearly spent, now")
    for column in ("budget", "of"):
        table.add_column(column, overflow="fold")
    for column in ("used", "amount", "percent"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("starts again")
    for share in shares:
        used, most = figure(share.used, share), figure(share.amount, share)
        percent = Text(f"{share.percent}%", style="red" if share.is_spent else "yellow")
        name = Text(subject(share))
        table.add_row(Text(share.budget.name), name, used, most, percent, again(share))
    return table


def subject(share: Share) -> str:
    """Return whose budget it is."""
    return share.name if share.budget.per == "person" else f"{share.budget.per} {share.name}"


def figure(value: float, share: Share) -> str:
    """Return an amount of a budget in its unit."""
    return f"${value:,.2f}" if share.unit == "cost" else count(round(value))


def again(share: Share) -> str:
    """Return when a budget starts again, in its time zone."""
    return shown(share.end, share.budget.time_zone)


def _cells(sums: Sums) -> list[str]:
    return [
        f"{sums.turns:,}",
        f"{sums.failed:,}" if sums.failed else "",
        count(sums.prompt),
        percent(sums.cached),
        count(sums.output),
        money(sums),
    ]


def count(number: int) -> str:
    """Return a number of tokens in three digits: 940, 12.3k, 4.56M."""
    value = float(number)
    for unit in ("", "k", "M", "G"):
        if value < 999.5 or unit == "G":
            break
        value /= 1000
    if not unit:
        return str(number)
    return f"{value:.{max(0, 3 - len(str(int(value))))}f}{unit}"


def percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def money(sums: Sums) -> str:
    """Return a cost; with a "+" if some turns have no price."""
    if sums.dollars is None:
        return ""
    served = sums.turns - sums.failed
    return f"${sums.dollars:,.2f}" + ("+" if sums.priced < served else "")


def report(
    ledger: Ledger, by: Sequence[str], period: Period, unread: Mapping[str, str]
) -> dict[str, Any]:
    """Return the report as plain data for JSON. Times are in milliseconds."""
    models = sorted({each.model for each in ledger.times})
    return {
        "since": str(period.since),
        "until": str(period.until),
        "by": list(by),
        "rows": rows(ledger, by),
        "total": plain({}, total(ledger.entries)),
        "times": {
            model: {
                kind: {f"p{part}": percentile(times, part / 100) for part in (50, 95)}
                for kind in ("latency", "first")
                if (times := chosen(ledger.times, kind, model=model))
            }
            for model in models
        },
        "unread": dict(unread),
    }


def rows(ledger: Ledger, by: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a report."""
    return [
        plain(dict(zip(by, key, strict=True)), sums)
        for key, sums in grouped(ledger.entries, by).items()
    ]


def text(ledger: Ledger, by: Sequence[str]) -> str:
    """Return the report as CSV, with a header."""
    found = rows(ledger, by)
    output = io.StringIO()
    names = list(plain(dict.fromkeys(by, ""), Sums()))
    writer = csv.DictWriter(output, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _safe(value) for name, value in row.items()} for row in found)
    return output.getvalue()


def _safe(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value
