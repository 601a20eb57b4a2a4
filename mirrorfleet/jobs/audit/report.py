"""The result of an audit as text and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Any

from rich.console import Console
from rich.text import Text

from mirrorfleet.jobs.audit.findings import Finding, Update

STYLES = {"malicious": "bold red", "vulnerable": "red", "no fix": "yellow", "accepted": ""}


def show(
    console: Console,
    findings: Sequence[Finding],
    updates: Sequence[Update],
    unreachable: Mapping[str, str],
) -> None:
    """Print the findings by release, the pending updates, and a sentence that counts them."""
    for (state, release), group in groupby(findings, key=lambda one: (one.state, one.release)):
        found = list(group)
        places = ", ".join(found[0].places)
        console.print(Text.assemble((f"{release.text}: {state}", STYLES[state]), f"  ({places})"))
        for one in found:
            for indent, text in _lines(one):
                _print(console, text, indent)
    for update in updates:
        console.print(
            Text.assemble(
                (f"{update.package} {update.installed}: security update {update.fixed}", "red"),
                f"  ({', '.join(update.hosts)})",
            )
        )
        console.print(
            Text("    apt-get update && apt-get install --only-upgrade " + update.package)
        )
    for name, reason in unreachable.items():
        console.print(Text(f"{name}: {reason}", style="red"))
    console.print(_sentence(findings, updates))


def _print(console: Console, text: str, indent: int) -> None:
    space = " " * indent
    lines = wrap(text, console.width, initial_indent=space, subsequent_indent=space)
    console.print(Text("\n".join(lines)))


def _lines(finding: Finding) -> Iterator[tuple[int, str]]:
    """Yield the lines about an advisory, each with its indentation."""
    fixed = f", fixed in {finding.fixed}" if finding.fixed else ""
    what = finding.advisory.summary or "not described"
    yield 4, f"{finding.advisory.name}{fixed}: {what}"
    if finding.note:
        yield 8, finding.note
    yield 8, finding.advisory.source


def _sentence(findings: Sequence[Finding], updates: Sequence[Update]) -> Text:
    bad = {one.release for one in findings if one.is_bad}
    open_ones = {one.advisory.id for one in findings if one.state == "no fix"}
    accepted = {one.advisory.id for one in findings if one.state == "accepted"}
    parts = [
        f"{len(bad)} {'release' if len(bad) == 1 else 'releases'} to replace" if bad else "",
        f"{len(updates)} pending security updates" if updates else "",
        f"{len(open_ones)} advisories without a fix" if open_ones else "",
        f"{len(accepted)} accepted" if accepted else "",
    ]
    counted = ", ".join(part for part in parts if part)
    if not bad and not updates:
        counted = f"No release must be replaced{'; ' if counted else ''}{counted}"
    return Text(f"{counted}.", style="red" if bad or updates else "green")


def report(
    findings: Sequence[Finding],
    updates: Sequence[Update],
    unreachable: Mapping[str, str],
    offline: Mapping[str, str],
) -> dict[str, Any]:
    """Return the result as plain data for JSON."""
    return {
        "findings": [
            {
                "package": one.release.package.name,
                "ecosystem": one.release.package.ecosystem,
                "version": one.release.version,
                "state": one.state,
                "advisory": one.advisory.id,
                "aliases": list(one.advisory.aliases),
                "summary": one.advisory.summary,
                "source": one.advisory.source,
                "fixed": one.fixed,
                "note": one.note,
                "places": list(one.places),
            }
            for one in findings
        ],
        "updates": [
            {
                "package": update.package,
                "installed": update.installed,
                "fixed": update.fixed,
                "hosts": list(update.hosts),
            }
            for update in updates
        ],
        "unreachable": dict(unreachable),
        "offline": dict(offline),
    }
