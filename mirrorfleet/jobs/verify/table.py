"""The result of verify as tables and as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from mirrorfleet import terminal
from mirrorfleet.jobs.verify.checks import CHECKS, Row
from mirrorfleet.jobs.verify.layers import Fault, Layer


def show(layers: Sequence[Layer], rows: Sequence[Row], unreachable: Mapping[str, str]) -> None:
    """Print the tables, and below them each cause of a failure once, with its fix."""
    console = terminal.console()
    if layers:
        console.print(_layers(layers))
    for text in _proofs(layers):
        console.print(text)
    if rows:
        console.print(_rows(rows))
    for name, reason in unreachable.items():
        console.print(Text(f"{name}: {reason}"))
    faults: dict[Fault, list[str]] = {}
    for layer in layers:
        for fault in layer.faults:
            faults.setdefault(fault, [])
    for row in rows:
        for fault in row.faults:
            faults.setdefault(fault, []).append(f"{row.target.name}: {row.model.name}")
    for fault, developers in faults.items():
        console.print(Text(f"{fault.where}: {fault.cause}", style="red"))
        if developers:
            console.print(Text(f"    {'; '.join(dict.fromkeys(developers))}"))
        console.print(Text(f"    {fault.remedy}"))


def report(
    layers: Sequence[Layer], rows: Sequence[Row], unreachable: Mapping[str, str]
) -> dict[str, Any]:
    """Return the result as plain data for JSON."""
    return {
        "layers": [
            {
                "kind": layer.kind,
                "host": layer.host,
                "models": list(layer.models),
                "faults": [asdict(fault) for fault in layer.faults],
                "proofs": {
                    proof.model: [asdict(part) for part in proof.parts] for proof in layer.proofs
                },
            }
            for layer in layers
        ],
        "developers": [
            {
                "group": row.target.group,
                "host": row.target.host,
                "user": row.target.user,
                "scope": row.target.scope,
                "model": row.model.name,
                "tiers": list(row.model.tiers),
                "checks": dict(row.checks),
                "faults": [asdict(fault) for fault in row.faults],
            }
            for row in rows
        ],
        "unreachable": dict(unreachable),
    }


def _layers(layers: Iterable[Layer]) -> Table:
    table = Table("layer", "host", "models", "state", "proof", title="Engines and gateways")
    for layer in layers:
        state = "failed" if layer.faults else "serves"
        proof = "\n".join(dict.fromkeys(proof.summary for proof in layer.proofs))
        table.add_row(layer.kind, layer.host, ", ".join(layer.models), _coloured(state), proof)
    return table


def _proofs(layers: Iterable[Layer]) -> Iterator[Text]:
    """Yield a line for each part of a proof that is not simply ok."""
    for layer in layers:
        for proof in layer.proofs:
            yield from (Text(f"{proof.model}: {text}", style="dim") for text in proof.details())


def _rows(rows: Iterable[Row]) -> Table:
    checks = ("client", *CHECKS, "window")
    table = Table("group", "host", "user", "scope", "model", *checks, title="Developers")
    for row in rows:
        target, model = row.target, row.model
        name = f"{model.name} ({', '.join(model.tiers)})" if model.tiers else model.name
        cells = (_coloured(row.checks.get(check, "not run")) for check in checks)
        table.add_row(target.group, target.host, target.user, target.scope, name, *cells)
    return table


def _coloured(word: str) -> Text:
    return Text(word, style={"failed": "red", "not run": "dim"}.get(word, ""))
