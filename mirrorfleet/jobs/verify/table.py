"""What was found out, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from mirrorfleet import terminal
from mirrorfleet.jobs.verify.judge import JUDGES, Row
from mirrorfleet.jobs.verify.layers import Fault, Layer


def show(layers: Sequence[Layer], rows: Sequence[Row], mute: Mapping[str, str]) -> None:
    """Print the tables, and below them each cause of a failure once, with its remedy."""
    console = terminal.console()
    if layers:
        console.print(_layers(layers))
    if rows:
        console.print(_rows(rows))
    for name, why in mute.items():
        console.print(Text(f"{name} {why}"))
    faults: dict[Fault, list[str]] = {}
    for layer in layers:
        for fault in layer.faults:
            faults.setdefault(fault, [])
    for row in rows:
        for fault in row.faults:
            faults.setdefault(fault, []).append(f"{row.seat.name}: {row.line.model}")
    for fault, whose in faults.items():
        console.print(Text(f"{fault.where}: {fault.cause}", style="red"))
        if whose:
            console.print(Text(f"    {'; '.join(dict.fromkeys(whose))}"))
        console.print(Text(f"    {fault.remedy}"))


def report(layers: Sequence[Layer], rows: Sequence[Row], mute: Mapping[str, str]) -> dict[str, Any]:
    """Return all that was found out as plain data."""
    return {
        "layers": [
            {
                "kind": layer.kind,
                "host": layer.host,
                "models": list(layer.models),
                "faults": [asdict(fault) for fault in layer.faults],
            }
            for layer in layers
        ],
        "developers": [
            {
                "group": row.seat.group,
                "host": row.seat.host,
                "user": row.seat.user,
                "scope": row.seat.scope,
                "model": row.line.model,
                "tiers": list(row.line.tiers),
                "checks": dict(row.checks),
                "faults": [asdict(fault) for fault in row.faults],
            }
            for row in rows
        ],
        "unreachable": dict(mute),
    }


def _layers(layers: Iterable[Layer]) -> Table:
    table = Table("what", "host", "models", "state", title="Engines and gateways")
    for layer in layers:
        state = "failed" if layer.faults else "serves"
        table.add_row(layer.kind, layer.host, ", ".join(layer.models), _coloured(state))
    return table


def _rows(rows: Iterable[Row]) -> Table:
    checks = ("client", *JUDGES, "window")
    table = Table("group", "host", "user", "scope", "model", *checks, title="Developers")
    for row in rows:
        seat = row.seat
        model = (
            f"{row.line.model} ({', '.join(row.line.tiers)})" if row.line.tiers else row.line.model
        )
        cells = (_coloured(row.checks.get(name, "not asked")) for name in checks)
        table.add_row(seat.group, seat.host, seat.user, seat.scope, model, *cells)
    return table


def _coloured(word: str) -> Text:
    return Text(word, style={"failed": "red", "not asked": "dim"}.get(word, ""))
