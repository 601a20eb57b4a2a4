"""Releases that must not be installed: malicious ones, and vulnerable ones that have a fix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from packaging.version import Version

from mirrorfleet.config import Fleet
from mirrorfleet.config.advisories import PYPI, Advisories, Hit, Package
from mirrorfleet.config.lock_files import all_pins
from mirrorfleet.config.problems import Key, Problem


def problems(fleet: Fleet, key: Key, package: Package, version: str) -> Iterator[Problem]:
    """Yield a problem if an advisory refuses the release at ``key``."""
    if hits := refused(fleet, package, version):
        name = package.name.rpartition("/")[2]
        newest = max((hit.fixed for hit in hits if hit.fixed), key=Version, default=None)
        yield fleet.document.problem(
            key,
            f"{name} {version} must not be installed: {reasons(hits)}.",
            f"Write {newest} or newer." if newest else "Write another release.",
        )


def refused(fleet: Fleet, package: Package, version: str) -> list[Hit]:
    """Return the advisories that refuse a release, without those that the fleet file accepts."""
    return [
        hit
        for hit in fleet.advisories.hits(package, version)
        if hit.refused and not fleet.any_release and not accepted(fleet, hit)
    ]


def accepted(fleet: Fleet, hit: Hit) -> str:
    """Return the reason for which the fleet file accepts an advisory, "" if it does not."""
    names = (hit.advisory.id, *hit.advisory.aliases)
    return next((fleet.accepted[name] for name in names if name in fleet.accepted), "")


def accepted_names(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem for each accepted advisory that is unknown."""
    known = {
        name
        for advisories in fleet.advisories.by_package.values()
        for advisory in advisories
        for name in (advisory.id, *advisory.aliases)
    }
    for name in fleet.accepted:
        if name not in known:
            close = get_close_matches(name, known, n=1, cutoff=0.85)
            yield fleet.document.problem(
                ("accepted_advisories", name),
                "is not the id of an advisory that is known here.",
                f"Did you mean {close[0]!r}?" if close else "Remove it.",
            )


def pinned(known: Advisories, text: str) -> Iterator[tuple[Package, str, list[Hit]]]:
    """Yield package, version and advisories of each pin of a lock file that an advisory covers."""
    for name, version in all_pins(text):
        package = Package(PYPI, name)
        if hits := known.hits(package, version):
            yield package, version, hits


def reasons(hits: Sequence[Hit]) -> str:
    """Return what the most important advisories are about, and how many more there are.

    A malicious release comes first, then the advisory with the newest fix.
    """
    first, *others = sorted(hits, key=_importance, reverse=True)
    advisory = first.advisory
    text = f"{advisory.name} ({advisory.summary or 'not described'}; {advisory.where})"
    if not others:
        return text
    return f"{text}, and {len(others)} more advisor{'y' if len(others) == 1 else 'ies'}"


def _importance(hit: Hit) -> tuple[bool, Version, str]:
    return hit.is_malicious, Version(hit.fixed or "0"), hit.advisory.name
