"""Releases that must not be installed: malicious ones, and those with known holes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from packaging.version import Version

from mirrorfleet.config import Fleet
from mirrorfleet.config.lock_files import pins
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.data import table

Advisories = Sequence[Mapping[str, Any]]


def problems(
    fleet: Fleet, key: Key, package: str, version: str, known: Advisories | None = None
) -> Iterator[Problem]:
    """Yield what is wrong with a release, by the ``known`` advisories or those of its package."""
    advisories = table("advisories").get(package, ()) if known is None else known
    if reasons := _reasons(advisories, version):
        fixed = max((each["below"] for each in advisories if "below" in each), key=Version)
        yield fleet.document.problem(
            key,
            f"{package} {version} must not be installed: {reasons}.",
            f"Write {fixed} or newer.",
        )


def locked(text: str) -> Iterator[str]:
    """Yield each package that a lock file pins and that must not be installed, and why."""
    for package, version, reasons in pinned(text):
        yield f"{package} {version}, which must not be installed: {reasons}."


def pinned(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the same as package, version, and reasons."""
    for package, version in pins(text):
        if reasons := _reasons(table("advisories").get(package, ()), version):
            yield package, version, reasons


def _reasons(advisories: Advisories, version: str) -> str:
    hits = [
        advisory
        for advisory in advisories
        if version in advisory.get("only", ())
        or ("below" in advisory and Version(version) < Version(advisory["below"]))
    ]
    alike: dict[str, list[str]] = {}
    for hit in hits:
        alike.setdefault(f"{hit['what']}; {_told(hit)}", []).append(hit["id"])
    return "; ".join(f"{', '.join(ids)} ({what})" for what, ids in alike.items())


def _told(advisory: Mapping[str, Any]) -> str:
    """Return where an advisory is told: a site that knows it by its id, or a page."""
    source = urlsplit(advisory["source"])
    site = source.netloc.removeprefix("www.")
    return site if advisory["id"] in source.query else f"{site}{source.path}"
