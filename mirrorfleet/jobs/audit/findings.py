"""Pure: what advisories say about the releases of a fleet file and of its hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from mirrorfleet.checks.advisories import accepted
from mirrorfleet.config import Fleet
from mirrorfleet.config.advisories import CLAUDE_CODE, LITELLM, Advisory, Hit, Package
from mirrorfleet.config.lock_files import pins
from mirrorfleet.engines.registry import ENGINES

State = Literal["malicious", "vulnerable", "no fix", "accepted"]


@dataclass(frozen=True)
class Release:
    """A release of a package."""

    package: Package
    version: str

    @property
    def text(self) -> str:
        """Return name and version as people write them."""
        return f"{self.package.name.rpartition('/')[2]} {self.version}"


@dataclass(frozen=True)
class Finding:
    """An advisory that covers a release, and where this release is used.

    ``places`` are keys of the fleet file and hosts. ``fixed`` is the first fixed release. ``note``
    is why it is accepted, or why a fleet is not open to it.
    """

    release: Release
    advisory: Advisory
    state: State
    fixed: str | None
    note: str
    places: tuple[str, ...]

    @property
    def is_bad(self) -> bool:
        """Return whether the release must be replaced."""
        return self.state in ("malicious", "vulnerable")


@dataclass(frozen=True)
class Update:
    """A security update of the distribution that hosts do not have yet."""

    package: str
    installed: str
    fixed: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Installed:
    """What a host has: releases with their place there, and pending updates by package."""

    releases: Mapping[Release, str] = field(default_factory=dict)
    updates: tuple[tuple[str, str, str], ...] = ()


def parse(lines: Iterable[str]) -> Installed:
    """Return what a host has, from the lines of installed.sh. Raises ``ValueError`` for others."""
    releases: dict[Release, str] = {}
    updates = []
    for line in lines:
        match line.split("\t"):
            case ["installed", "engine", name, version, place]:
                if name in ENGINES and (known := ENGINES[name].package):
                    releases[Release(known, version)] = place
            case ["installed", ecosystem, name, version, place]:
                if ecosystem == "PyPI":
                    name = name.replace("_", "-").replace(".", "-").lower()
                releases[Release(Package(ecosystem, name), version)] = place
            case ["update", package, installed, fixed]:
                updates.append((package, installed, fixed))
            case _:
                raise ValueError(f"{line[:80]!r}")
    return Installed(releases, tuple(updates))


def of_fleet(fleet: Fleet, texts: Mapping[tuple[str, str], str]) -> Iterator[tuple[Release, str]]:
    """Yield the releases that a fleet file installs, each with the key that chooses it.

    ``texts`` are the lock files, by service and name.
    """
    gateway = fleet.gateway
    if gateway:
        yield Release(LITELLM, gateway.version), "gateway.version"
        if gateway.runtime != "docker":
            yield from _pinned(texts, "litellm", gateway.version, "gateway.version")
    for name, engine in ENGINES.items():
        for version, key, lock in engine.installed(fleet):
            if engine.package:
                yield Release(engine.package, version), key
            yield from _pinned(texts, name, lock, key)
    for group in fleet.developers.values():
        yield Release(CLAUDE_CODE, group.version), f"developers.{group.name}.version"


def _pinned(
    texts: Mapping[tuple[str, str], str], service: str, name: str, key: str
) -> Iterator[tuple[Release, str]]:
    for package, version in pins(texts.get((service, name), "")):
        yield Release(Package("PyPI", package), version), key


def findings(fleet: Fleet, uses: Iterable[tuple[Release, str]]) -> list[Finding]:
    """Return what advisories say about releases, each with its places; the worst first."""
    places: dict[Release, dict[str, None]] = {}
    for release, place in uses:
        places.setdefault(release, {})[place] = None
    found = [
        _finding(fleet, release, hit, tuple(places[release]))
        for release in places
        for hit in fleet.advisories.hits(release.package, release.version)
    ]
    order = ("malicious", "vulnerable", "no fix", "accepted")
    return sorted(
        found, key=lambda one: (order.index(one.state), one.release.text, one.advisory.id)
    )


def _finding(fleet: Fleet, release: Release, hit: Hit, places: tuple[str, ...]) -> Finding:
    state: State = "no fix"
    note = hit.advisory.mitigation
    if reason := accepted(fleet, hit):
        state, note = "accepted", reason
    elif hit.refused:
        state, note = "malicious" if hit.is_malicious else "vulnerable", ""
    return Finding(release, hit.advisory, state, hit.fixed, note, places)


def updates(found: Mapping[str, Installed]) -> list[Update]:
    """Return the pending security updates of hosts, each with all hosts that need it."""
    hosts: dict[tuple[str, str, str], list[str]] = {}
    for name, installed in found.items():
        for update in installed.updates:
            hosts.setdefault(update, []).append(name)
    return [Update(*update, tuple(names)) for update, names in sorted(hosts.items())]
