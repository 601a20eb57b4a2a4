"""The result of the canary as text of 80 columns, and as plain data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from mirrorfleet import terminal
from mirrorfleet.jobs.canary.results import Result
from mirrorfleet.roles.proof.files import figures

WIDTH = 14
"""Columns of the names of figures."""

STYLES = {"failed": "red", "warning": "yellow", "not reported": "dim", "not compared": "dim"}


def show(results: Sequence[Result]) -> None:
    """Print the figures of each service, and below them each fault with its fix."""
    console = terminal.console()
    for result in results:
        release = f" {result.release}" if result.release else ""
        against = f", compared with {result.against}" if result.against else ", nothing before"
        heading = f"{result.title}{release} on {result.host}"
        console.print(Text(heading + ("" if result.silent else against), style="bold"))
        for line in _lines(result):
            console.print(line)
    for result in results:
        for cause, remedy in result.faults:
            console.print(Text(cause, style="red"))
            console.print(Text(f"    {remedy}"))


def _lines(result: Result) -> Iterator[Text]:
    if result.silent:
        yield Text("  no answer", style="red")
    for model in result.models:
        yield Text(f"  {model.name}")
        if model.fault:
            yield from _line("not measured", model.fault, "dim")
        for found in model.findings:
            words = found.words
            if found.state in ("failed", "warning"):
                words = f"{found.state}, {words}"
            yield from _line(found.item, words, STYLES.get(found.state, ""))


def _line(name: str, words: str, style: str) -> Iterator[Text]:
    width = max(20, terminal.console().width - WIDTH - 5)
    for at, line in enumerate(textwrap.wrap(words, width)):
        yield Text(f"    {'' if at else name:<{WIDTH}} ").append(line, style)


def plain(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the results for JSON."""
    return [
        {
            "host": result.host,
            "kind": result.title,
            "service": result.service,
            "release": result.release,
            "generation": result.generation,
            "against": result.against,
            "models": {
                model.name: {
                    "figures": dict(model.figures),
                    "compared": figures.plain(model.findings),
                }
                for model in result.models
            },
            "faults": [{"cause": cause, "remedy": remedy} for cause, remedy in result.faults],
        }
        for result in results
    ]
