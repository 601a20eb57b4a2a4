"""Releases without a lock file, or with one that must not be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mirrorfleet.checks import advisories, own_locks
from mirrorfleet.config import Fleet, reading
from mirrorfleet.config.advisories import CLAUDE_CODE, LITELLM
from mirrorfleet.config.lock_files import LockFile, emergency
from mirrorfleet.config.problems import Key, Place, Problem


@dataclass(frozen=True)
class Release:
    """A release, and its lock file ``name`` in the folder of ``service``.

    ``package``: its Python package, ``None`` for Claude Code. ``tables``: whether a database needs
    its schema. ``unfit``: a function of the lock file's text that returns the packages that do not
    work, and why; empty if all do.
    """

    service: str
    version: str
    name: str
    package: str | None
    tables: bool = False
    unfit: Callable[[str], str] = lambda text: ""


def problems(fleet: Fleet) -> Iterator[Problem]:
    if fleet.gateway:
        key: Key = ("gateway", "version")
        version = fleet.gateway.version
        if not advisories.refused(fleet, LITELLM, version):
            # The packages of an image are checked on the gateway. The lock file only shows that
            # Mirrorfleet knows the settings of this release.
            judge = fleet.gateway.runtime != "docker"
            tables = fleet.gateway.database is not None
            release = Release("litellm", version, version, "litellm", tables)
            yield from unlocked(fleet, key, release, judge=judge)
            yield from unknown_names(fleet, key, release, "settings, callbacks and strategies")
    for group in fleet.developers.values():
        key, version = ("developers", group.name, "version"), group.version
        if refused := list(advisories.problems(fleet, key, CLAUDE_CODE, version)):
            yield from refused
        else:
            yield from unlocked(fleet, key, Release("claude", version, version, None))


def unknown_names(fleet: Fleet, key: Key, release: Release, kinds: str) -> Iterator[Problem]:
    """Yield a problem if Mirrorfleet does not have the names that a locked release knows.

    ``kinds``: what the names are.
    """
    service, version = release.service, release.version
    lock = fleet.locks.find(service, release.name)
    if lock is None or fleet.locks.names(service, version):
        return
    about = f"is {version}, whose {kinds} are not known here: "
    command = f"`mirrorfleet lock {service} {release.name}`"
    if lock.own:
        yield fleet.document.warning(
            key, f"{about}their names are not checked.", f"Run {command} to write them."
        )
        return
    file = f"mirrorfleet/data/{service}_known/{version}.yml"
    yield fleet.document.problem(key, f"{about}{file} is missing.", f"Generate it: {command}")


def unlocked(fleet: Fleet, key: Key, release: Release, *, judge: bool = True) -> Iterator[Problem]:
    """Yield a problem if a release has no lock file, and the problems of its lock file.

    ``judge``: also check its pins against advisories, and whether they work on hosts.
    """
    lock = fleet.locks.find(release.service, release.name)
    if lock is None:
        if not fleet.any_release:
            yield _missing(fleet, key, release)
        return
    try:
        text = reading.text(lock.path)
    except reading.Unreadable as error:
        yield Problem(Place(lock.shown, 0), (), error.mistake, error.remedy)
        return
    if lock.own:
        version, package = release.version, release.package
        broken = list(own_locks.problems(lock, text, version, package, tables=release.tables))
        if broken:
            yield from broken
            return
    if judge:
        yield from _judged(fleet, key, release, lock, text)


def _missing(fleet: Fleet, key: Key, release: Release) -> Problem:
    service, build = release.service, release.name.removeprefix(release.version)
    file = f"locks/{service}/{release.name}{fleet.locks.suffixes[service]}"
    known = fleet.locks.proposed(service, build)
    return fleet.document.problem(
        key,
        f"is {release.version}, which has no lock file.",
        f"Write {known}, or add {file}." if known else f"Add {file}.",
    )


def _judged(
    fleet: Fleet, key: Key, release: Release, lock: LockFile, text: str
) -> Iterator[Problem]:
    """Yield the problems of a lock file's pins, and a warning for very new packages."""
    if lock.own:
        update = f"Update {lock.shown}"
    else:
        update = f"Update it with `mirrorfleet lock {release.service} {release.name}`"
    remedy = f"{update}, or choose another release."
    for package, version, _ in advisories.pinned(fleet.advisories, text):
        if not (bad := advisories.refused(fleet, package, version)):
            continue
        reasons = advisories.reasons(bad)
        mistake = f"pins {package.name} {version}, which must not be installed: {reasons}."
        if lock.own:
            place = Place(lock.shown, own_locks.line_of(text, package.name))
            yield Problem(place, (), mistake, f"Pin another release of {package.name}.")
        else:
            yield fleet.document.problem(key, f"its lock file {mistake}", remedy)
    if unusable := release.unfit(text):
        yield fleet.document.problem(key, f"its lock file pins {unusable}.", remedy)
    if reason := emergency(text):
        yield fleet.document.warning(
            key,
            f"its lock file pins releases that were less than a week old {reason}.",
            f"{update} a week later.",
        )
