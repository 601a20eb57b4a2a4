"""The releases of Python packages that a container image must not hold, by advisories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mirrorfleet.config import Fleet
from mirrorfleet.config.advisories import PYPI, Advisory


@dataclass(frozen=True)
class RefusedReleases:
    """Releases of a Python package that an image must not hold.

    From ``introduced`` (included; "0": the first) to ``fixed`` (excluded), or ``versions``.
    """

    advisory: str
    what: str
    introduced: str = "0"
    fixed: str | None = None
    versions: tuple[str, ...] = ()


def refused(fleet: Fleet) -> dict[str, tuple[RefusedReleases, ...]]:
    """Return the releases of Python packages that advisories refuse, by package."""
    found: dict[str, tuple[RefusedReleases, ...]] = {}
    for package, advisories in sorted(fleet.advisories.by_package.items()):
        if package.ecosystem == PYPI:
            releases = [one for each in advisories for one in _releases(fleet, each)]
            found |= {package.name: tuple(releases)} if releases else {}
    return found


def _releases(fleet: Fleet, advisory: Advisory) -> Iterator[RefusedReleases]:
    """Yield the releases that an advisory refuses: those before a fix, and malicious ones."""
    if {advisory.id, *advisory.aliases} & fleet.accepted.keys():
        return
    name, what = advisory.name, advisory.summary
    for known in advisory.ranges:
        if known.fixed:
            yield RefusedReleases(name, what, known.introduced, known.fixed)
    if not advisory.ranges:
        yield RefusedReleases(name, what, versions=advisory.versions)
