"""Releases that must not be installed: malicious ones, and those with known holes."""

from __future__ import annotations

from collections.abc import Iterator

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
        reasons = "; ".join(f"{hit['id']} ({hit['what']})" for hit in hits)
        yield fleet.document.problem(
            key,
            f"{package} {version} must not be installed: {reasons}.",
            f"Write {fixed} or newer.",
        )
