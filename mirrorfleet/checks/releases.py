"""Releases without a lock file, or with one that must not be used: nothing else is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mirrorfleet.checks import advisories, own_locks
from mirrorfleet.config import Fleet, reading
from mirrorfleet.config.lock_files import LockFile, emergency
from mirrorfleet.config.problems import Key, Place, Problem
from mirrorfleet.data import is_there


@dataclass(frozen=True)
class Release:
    """A release that is installed from the lock file ``name``, in a service's folder of them.

    ``package`` is its package of Python, ``None`` for Claude Code. ``unfit`` returns what in the
    text of a lock file no host could use, and why; "" if all can be used.
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
            # What an image holds is examined on the gateway: the lock file stands for a release
            # whose names and settings are known here.
            judge = fleet.gateway.runtime != "docker"
            tables = fleet.gateway.database is not None
            release = Release("litellm", version, version, "litellm", tables)
            yield from unlocked(fleet, key, release, judge=judge)
            yield from _names(fleet, key, version)
    for group in fleet.developers.values():
        key, version = ("developers", group.name, "version"), group.version
        yield from unlocked(fleet, key, Release("claude", version, version, None))


def _names(fleet: Fleet, key: Key, version: str) -> Iterator[Problem]:
    """Yield a problem if the names that a release of LiteLLM knows are not known here."""
    lock = fleet.locks.find("litellm", version)
    if lock is None or is_there(f"litellm_known/{version}"):
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
        f"is {version}, of which it is not known here what names it has: "
        f"mirrorfleet/data/litellm_known/{version}.yml is missing.",
        f"Write it: .venv/bin/python -m tools.litellm_environment {version}",
    )


def unlocked(fleet: Fleet, key: Key, release: Release, *, judge: bool = True) -> Iterator[Problem]:
    """Yield a problem unless a lock file pins a release, and what is wrong with that file.

    ``judge``: check its pins against the advisories, and whether a host can use them.
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
        each.removesuffix("-cpu")
        for each in fleet.locks.releases(service)
        if each.endswith("-cpu") == bool(build)
    ]
    file = f"locks/{service}/{release.name}{fleet.locks.suffixes[service]}"
    return fleet.document.problem(
        key,
        f"is {release.version}, for which there is no lock file.",
        f"Write {' or '.join(known)}, or add {file}." if known else f"Add {file}.",
    )


def _judged(
    fleet: Fleet, key: Key, release: Release, lock: LockFile, text: str
) -> Iterator[Problem]:
    """Yield what a lock file pins and must not, and a warning if it was made in an emergency."""
    if lock.own:
        again = f"write {lock.shown} again"
    else:
        again = f"write it again: `bin/lock {release.service} {release.name}`"
    other = f"{again[:1].upper()}{again[1:]}; or name another release."
    for package, version, reasons in advisories.pinned(text):
        mistake = f"pins {package} {version}, which must not be installed: {reasons}."
        if lock.own:
            place = Place(lock.shown, own_locks.line_of(text, package))
            yield Problem(place, (), mistake, f"Pin another release of {package}.")
        else:
            yield fleet.document.problem(key, f"its lock file {mistake}", other)
    if unusable := release.unfit(text):
        yield fleet.document.problem(key, f"its lock file pins {unusable}.", other)
    if why := emergency(text):
        yield fleet.document.warning(
            key,
            f"its lock file holds releases of less than a week {why}.",
            f"A week later, {again}.",
        )
