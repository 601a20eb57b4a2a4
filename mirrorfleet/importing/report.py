"""The report of an import: what became of each value of the input, at 80 columns or as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from mirrorfleet.config.problems import dotted, printable
from mirrorfleet.importing import Import
from mirrorfleet.importing.fates import MEANINGS, Entry, Fate

WIDTH = 80


def lines(result: Import) -> Iterator[str]:
    """Yield the report: the fates, what the input does not have, and the variables to set."""
    by_fate = {fate: [each for each in result.entries if each.fate == fate] for fate in Fate}
    for fate in Fate:
        if by_fate[fate]:
            yield f"{fate.value} ({len(by_fate[fate])}): {MEANINGS[fate]}"
            yield from _of_files(by_fate[fate])
            yield ""
    if result.choices:
        yield f"chosen ({len(result.choices)}): no input decides it, and it works as it is"
        yield from _listed((dotted(choice.key), choice.reason) for choice in result.choices)
        yield ""
    if result.needs:
        yield f"open ({len(result.needs)}): the input does not have it; a placeholder stands there"
        yield from _listed((dotted(need.key), need.question) for need in result.needs)
        yield ""
    if result.variables:
        yield f"variables to set where you run mirrorfleet ({len(result.variables)}):"
        yield from textwrap.wrap(
            ", ".join(result.variables), WIDTH, initial_indent="  ", subsequent_indent="  "
        )
        yield ""
    yield summary(result)


def summary(result: Import) -> str:
    """Return the numbers of the report in one sentence."""
    counts = [(fate, sum(entry.fate == fate for entry in result.entries)) for fate in Fate]
    reported = ", ".join(
        f"{count} {fate.value}" for fate, count in counts if count and fate != Fate.OPEN
    )
    missing = dict(counts)[Fate.OPEN] + len(result.needs)
    noun = "file" if len(result.files) == 1 else "files"
    end = f"{missing} open" if missing else "nothing open"
    return (
        f"{len(result.entries)} values of {len(result.files)} {noun}: {reported or 'none'}; {end}"
    )


def _of_files(entries: list[Entry]) -> Iterator[str]:
    for file, group in groupby(
        sorted(entries, key=lambda each: each.file), key=lambda each: each.file
    ):
        yield f"  {printable(file)}"
        for entry in sorted(group, key=lambda each: each.line):
            yield from _wrapped(f"    {entry.line:>4} {entry.place}", _reported(entry))


def _reported(entry: Entry) -> str:
    target = f"-> {dotted(entry.target)}" if entry.target else ""
    return "; ".join(filter(None, (target, entry.reason))) if target else entry.reason


def _listed(pairs: Any) -> Iterator[str]:
    for key, reason in pairs:
        yield from _wrapped(f"  {key}", reason)


def _wrapped(head: str, reported: str) -> Iterator[str]:
    """Yield a line, or two or more if it is too long: what it is about, then the reason."""
    head, reported = printable(head), printable(reported)
    if len(head) + 2 + len(reported) <= WIDTH:
        yield f"{head}  {reported}".rstrip()
        return
    yield head
    indent = " " * (len(head) - len(head.lstrip()) + 7)
    yield from textwrap.wrap(
        reported, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def plain(result: Import) -> dict[str, Any]:
    """Return the report as plain data for JSON."""
    return {
        "files": list(result.files),
        "values": [
            {
                "file": entry.file,
                "line": entry.line,
                "key": entry.place,
                "fate": entry.fate.value,
                "reason": entry.reason,
                "target": dotted(entry.target) or None,
            }
            for entry in result.entries
        ],
        "chosen": [{"key": dotted(each.key), "reason": each.reason} for each in result.choices],
        "open": [{"key": dotted(each.key), "question": each.question} for each in result.needs],
        "variables": list(result.variables),
    }
