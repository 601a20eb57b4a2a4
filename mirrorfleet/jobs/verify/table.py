"""The result of verify as tables and as plain data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.table import Table
from rich.text import Text

from mirrorfleet import terminal
from mirrorfleet.jobs.verify.checks import CHECKS, Row
from mirrorfleet.jobs.verify.day_outcomes import Outcome
from mirrorfleet.jobs.verify.layers import Fault, Layer


def show(layers: Sequence[Layer], rows: Sequence[Row], unreachable: Mapping[str, str]) -> None:
    """Print the tables, and below them each cause of a failure once, with its fix."""
    console = terminal.console()
    if layers:
        console.print(_layers(layers))
    for line in (*_proofs(layers), *_developers(rows)):
        console.print(line)
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
    layers: Sequence[Layer],
    rows: Sequence[Row],
    unreachable: Mapping[str, str],
    offline: Mapping[str, str],
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
                "day": [
                    {"item": part.item, "state": part.state, "note": part.note} for part in row.day
                ],
                "faults": [asdict(fault) for fault in row.faults],
            }
            for row in rows
        ],
        "unreachable": dict(unreachable),
        "offline": dict(offline),
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


def _developers(rows: Iterable[Row]) -> Iterator[Text]:
    """Yield a heading for each developer, and for each model what is ok and what is not."""
    for target, models in groupby(rows, key=lambda row: row.target):
        yield Text(f"{target.name}, {target.scope} settings", style="bold")
        for row in models:
            tiers = f" for {', '.join(row.model.tiers)}" if row.model.tiers else ""
            window = (
                f", a window of {row.checks['window']} tokens" if "window" in row.checks else ""
            )
            yield Text(f"  {row.model.name}{tiers}{window}")
            yield from _parts(row)


def _parts(row: Row) -> Iterator[Text]:
    """Yield a line for all that is simply ok or not asked, and one for each other part."""
    checks = (Outcome(name, row.checks.get(name, "not run")) for name in ("client", *CHECKS))
    parts = [*checks, *row.day]
    together: dict[tuple[str, str], list[str]] = {}
    for part in parts:
        if part.state == "not asked" or (part.state == "ok" and not part.note):
            together.setdefault((part.state, part.note), []).append(part.item)
    for (state, note), items in together.items():
        words = ", ".join(items) + (f": {note}" if note else "")
        yield from _line(state, words, STYLES.get(state, ""))
    for part in parts:
        if part.item not in together.get((part.state, part.note), ()):
            yield from _line(part.item, _words(part, row), STYLES.get(part.state, ""))


def _words(part: Outcome, row: Row) -> str:
    """Return the state of a part with its note, or with the layer that fails."""
    if part.item in row.failed:
        return f"failed: {row.failed[part.item].where}"
    state = "refused with" if part.state == "refused" else part.state
    separator = " " if part.state == "refused" else ", "
    return f"{state}{separator}{part.note}" if part.note else state


WIDTH = 16
"""Columns of the names of parts."""

STYLES = {"failed": "red", "not run": "dim", "not asked": "dim", "not reported": "dim"}


def _line(name: str, words: str, style: str = "") -> Iterator[Text]:
    """Yield a name and its words, which are wrapped in a column of their own."""
    width = max(20, terminal.console().width - WIDTH - 5)
    for at, line in enumerate(textwrap.wrap(words, width)):
        yield Text(f"    {'' if at else name:<{WIDTH}} ").append(line, style)


def _coloured(word: str) -> Text:
    return Text(word, style={"failed": "red", "not run": "dim"}.get(word, ""))
