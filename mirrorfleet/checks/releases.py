"""Releases without a lock file, or with one that must not be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mirrorfleet.checks import advisories, own_locks
from mirrorfleet.config import Fleet, reading
from mirrorfleet.config.lock_files import LockFile, emergency
from mirrorfleet.config.problems import Key, Place, Problem
from mirrorfleet.data import has_table


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
        if not any(advisories.problems(fleet, key, "litellm", version)):
            # The packages of an image are checked on the gateway. The lock file only shows that
            # Mirrorfleet knows the settings of this release.
            judge = fleet.gateway.runtime != "docker"
            tables = fleet.gateway.database is not None
            release = Release("litellm", version, version, "litellm", tables)
            yield from unlocked(fleet, key, release, judge=judge)
            yield from _names(fleet, key, version)
    for group in fleet.developers.values():
        key, version = ("developers", group.name, "version"), group.version
        yield from unlocked(fleet, key, Release("claude", version, version, None))


def _names(fleet: Fleet, key: Key, version: str) -> Iterator[Problem]:
    """Yield a problem if Mirrorfleet does not know the settings of a release of LiteLLM."""
    lock = fleet.locks.find("litellm", version)
    if lock is None or has_table(f"litellm_known/{version}"):
        return
    if lock.own:
        yield fleet.document.warning(
            key,
            f"is {version}, whose settings, callbacks and strategies are not known here: "
            "their names are not checked.",
            "Compare them with its release notes.",
        )
        return
    yield fleet.document.problem(
        key,
        f"is {version}, whose settings are not known here: "
        f"mirrorfleet/data/litellm_known/{version}.yml is missing.",
        f"Generate it: .venv/bin/python -m tools.litellm_environment {version}",
    )


def unlocked(fleet: Fleet, key: Key, release: Release, *, judge: bool = True) -> Iterator[Problem]:
    """Yield a problem if a release has no lock file, and the problems of its lock file.

    ``judge``: also check its pins against advisories, and whether they work on hosts.
    """
    lock = fleet.locks.find(release.service, release.name)
    if lock is None:
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
    known = [
        name.removesuffix("-cpu")
        for name in fleet.locks.releases(service)
        if name.endswith("-cpu") == bool(build)
    ]
    file = f"locks/{service}/{release.name}{fleet.locks.suffixes[service]}"
    return fleet.document.problem(
        key,
        f"is {release.version}, which has no lock file.",
        f"Write {' or '.join(known)}, or add {file}." if known else f"Add {file}.",
    )


def _judged(
    fleet: Fleet, key: Key, release: Release, lock: LockFile, text: str
) -> Iterator[Problem]:
    """Yield the problems of a lock file's pins, and a warning for very new packages."""
    if lock.own:
        update = f"Update {lock.shown}"
    else:
        update = f"Update it with `bin/lock {release.service} {release.name}`"
    remedy = f"{update}, or choose another release."
    for package, version, reasons in advisories.pinned(text):
        mistake = f"pins {package} {version}, which must not be installed: {reasons}."
        if lock.own:
            place = Place(lock.shown, own_locks.line_of(text, package))
            yield Problem(place, (), mistake, f"Pin another release of {package}.")
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
