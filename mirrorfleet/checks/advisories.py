"""Releases that must not be installed: malicious or vulnerable ones."""

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
    """Yield a problem if an advisory covers the release.

    ``known`` are the advisories to use; without them, those of the package in data/advisories.yml.
    """
    advisories = table("advisories").get(package, ()) if known is None else known
    if reasons := _reasons(advisories, version):
        fixed = max(
            (advisory["below"] for advisory in advisories if "below" in advisory), key=Version
        )
        yield fleet.document.problem(
            key,
            f"{package} {version} must not be installed: {reasons}.",
            f"Write {fixed} or newer.",
        )


def locked(text: str) -> Iterator[str]:
    """Yield a sentence with the reasons for each pinned package that must not be installed.

    ``text`` is the content of a lock file.
    """
    for package, version, reasons in pinned(text):
        yield f"{package} {version}, which must not be installed: {reasons}."


def pinned(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield package, version and reasons of each pinned package that must not be installed."""
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
    ids_by_text: dict[str, list[str]] = {}
    for hit in hits:
        ids_by_text.setdefault(f"{hit['what']}; {_source(hit)}", []).append(hit["id"])
    return "; ".join(f"{', '.join(ids)} ({what})" for what, ids in ids_by_text.items())


def _source(advisory: Mapping[str, Any]) -> str:
    """Return where to read an advisory: the site if it finds it by its id, else the page."""
    source = urlsplit(advisory["source"])
    site = source.netloc.removeprefix("www.")
    return site if advisory["id"] in source.query else f"{site}{source.path}"
