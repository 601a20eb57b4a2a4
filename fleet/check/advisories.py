"""Releases that must not be installed: malicious ones, and those with known holes."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from packaging.version import Version

from fleet.data import table
from fleet.problems import Key, Problem
from fleet.spec import Fleet


def problems(fleet: Fleet, key: Key, package: str, version: str) -> Iterator[Problem]:
    found = Version(version)
    advisories = table("advisories")[package]
    hits = [
        advisory
        for advisory in advisories
        if version in advisory.get("only", ())
        or ("below" in advisory and found < Version(advisory["below"]))
    ]
    if hits:
        fixed = max((each["below"] for each in advisories if "below" in each), key=Version)
        alike: dict[str, list[str]] = {}
        for hit in hits:
            alike.setdefault(f"{hit['what']}; {_told(hit)}", []).append(hit["id"])
        reasons = "; ".join(f"{', '.join(ids)} ({what})" for what, ids in alike.items())
        yield fleet.document.problem(
            key,
            f"{package} {version} must not be installed: {reasons}.",
            f"Write {fixed} or newer.",
        )


def _told(advisory: dict[str, str]) -> str:
    """Return where an advisory is told: a site that knows it by its id, or a page."""
    source = urlsplit(advisory["source"])
    site = source.netloc.removeprefix("www.")
    return site if advisory["id"] in source.query else f"{site}{source.path}"
