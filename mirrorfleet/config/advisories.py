"""Advisories in OSV's format: releases that are vulnerable or malicious.

The format is described at https://ossf.github.io/osv-schema/. One JSON file has one advisory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

PYPI, NPM, GO = "PyPI", "npm", "Go"
"""Ecosystems, by OSV's names."""


@dataclass(frozen=True, order=True)
class Package:
    """A package: its ecosystem, and its name there. Names of PyPI are normalized."""

    ecosystem: str
    name: str


LITELLM = Package(PYPI, "litellm")
CLAUDE_CODE = Package(NPM, "@anthropic-ai/claude-code")


@dataclass(frozen=True)
class Range:
    """Releases from ``introduced`` (included) to ``fixed`` (excluded; ``None``: to the newest).

    ``last`` is the last affected release, where no fixed one is named.
    """

    introduced: str
    fixed: str | None = None
    last: str | None = None


@dataclass(frozen=True)
class Advisory:
    """An advisory about one package.

    ``versions`` are further affected releases, such as malicious ones. ``mitigation`` is why a
    fleet of Mirrorfleet is not open to it although no release is fixed, empty if unknown.
    """

    id: str
    aliases: tuple[str, ...]
    package: Package
    summary: str
    source: str
    mitigation: str
    ranges: tuple[Range, ...]
    versions: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name that people search for: the CVE, if there is one."""
        cves = (alias for alias in self.aliases if alias.startswith("CVE-"))
        return self.id if self.id.startswith("CVE-") else next(cves, self.id)

    @property
    def where(self) -> str:
        """Return where to read it: the site if it finds the advisory by its name, else the page."""
        source = urlsplit(self.source)
        site = source.netloc.removeprefix("www.")
        return site if self.name in source.query else f"{site}{source.path}"


@dataclass(frozen=True)
class Hit:
    """An advisory that covers a release. ``fixed`` is the first fixed release, if there is one."""

    advisory: Advisory
    version: str
    fixed: str | None
    is_malicious: bool

    @property
    def refused(self) -> bool:
        """Return whether the release must not be installed: it is malicious, or has a fix."""
        return self.is_malicious or self.fixed is not None


@dataclass(frozen=True)
class Advisories:
    """All known advisories, by package."""

    by_package: Mapping[Package, tuple[Advisory, ...]]

    def hits(self, package: Package, version: str) -> list[Hit]:
        """Return the advisories that cover a release; none for a version that is no version."""
        return [
            hit for advisory in self.by_package.get(package, ()) if (hit := _hit(advisory, version))
        ]

    def named(self, name: str) -> list[Advisory]:
        """Return the advisories with an id or alias."""
        return [
            advisory
            for advisories in self.by_package.values()
            for advisory in advisories
            if name in (advisory.id, *advisory.aliases)
        ]


def collected(advisories: Iterable[Advisory]) -> Advisories:
    """Return advisories by package. Of two with the same id, the later one counts."""
    latest = {(advisory.id, advisory.package): advisory for advisory in advisories}
    by_package: dict[Package, tuple[Advisory, ...]] = {}
    for advisory in latest.values():
        known = by_package.get(advisory.package, ())
        by_package[advisory.package] = (*known, advisory)
    return Advisories(by_package)


def parse(document: Mapping[str, Any]) -> Iterator[Advisory]:
    """Yield an advisory for each package of an OSV document; none if it was withdrawn.

    Raises ``ValueError`` for a document that is not in OSV's format.
    """
    if document.get("withdrawn"):
        return
    try:
        references = [reference["url"] for reference in document.get("references", ())]
        for affected in document.get("affected", ()):
            if "package" not in affected:  # a range of Git commits
                continue
            yield Advisory(
                id=document["id"],
                aliases=tuple(document.get("aliases", ())),
                package=_package(affected["package"]),
                summary=document.get("summary", ""),
                source=references[0] if references else f"https://osv.dev/{document['id']}",
                mitigation=document.get("database_specific", {}).get("mitigation", ""),
                ranges=tuple(
                    one
                    for known in affected.get("ranges", ())
                    if known["type"] != "GIT"
                    for one in _ranges(known["events"])
                ),
                versions=tuple(affected.get("versions", ())),
            )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"is not an advisory in OSV's format: {error!r}") from None


def _package(found: Mapping[str, str]) -> Package:
    name = found["name"]
    if found["ecosystem"] == PYPI:
        name = re.sub(r"[-_.]+", "-", name).lower()
    return Package(found["ecosystem"], name)


def _ranges(events: Iterable[Mapping[str, str]]) -> Iterator[Range]:
    """Yield the ranges of a list of events, which OSV sorts by version."""
    introduced: str | None = None
    for event in events:
        if "introduced" in event:
            introduced = event["introduced"]
        elif introduced is not None and "fixed" in event:
            yield Range(introduced, event["fixed"])
            introduced = None
        elif introduced is not None and "last_affected" in event:
            yield Range(introduced, last=event["last_affected"])
            introduced = None
    if introduced is not None:
        yield Range(introduced)


def _hit(advisory: Advisory, version: str) -> Hit | None:
    try:
        release = Version(version)
        for known in advisory.ranges:
            if _covers(known, release):
                malicious = advisory.id.startswith("MAL-")
                return Hit(advisory, version, known.fixed, malicious)
    except InvalidVersion:
        return None
    if version in advisory.versions:
        # A list of versions is all that reports of malicious releases have. In other advisories,
        # it enumerates the ranges.
        return Hit(advisory, version, None, not advisory.ranges)
    return None


def _covers(known: Range, release: Version) -> bool:
    if known.introduced != "0" and release < Version(known.introduced):
        return False
    if known.last is not None:
        return release <= Version(known.last)
    return known.fixed is None or release < Version(known.fixed)
