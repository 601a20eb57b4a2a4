"""Releases without a lock file, or with one that must not be used: nothing else is installed."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import advisories, own_locks
from mirrorfleet.config import Fleet, VllmModel, reading
from mirrorfleet.config.lock_files import SUFFIXES, LockFile, cuda_mismatch, emergency
from mirrorfleet.config.problems import Key, Place, Problem
from mirrorfleet.data import is_there


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        if isinstance(model, VllmModel):
            key: Key = ("models", model.name, "version")
            if not any(advisories.problems(fleet, key, "vllm", model.version)):
                yield from _locked(fleet, key, "vllm", model.version, model.lock_name)
    if fleet.gateway:
        key, version = ("gateway", "version"), fleet.gateway.version
        if not any(advisories.problems(fleet, key, "litellm", version)):
            # What an image holds is examined on the gateway: the lock file stands for a release
            # whose names and settings are known here.
            judge = fleet.gateway.runtime != "docker"
            yield from _locked(fleet, key, "litellm", version, version, judge=judge)
            yield from _names(fleet, key, version)
    for group in fleet.developers.values():
        key, version = ("developers", group.name, "version"), group.version
        yield from _locked(fleet, key, "claude", version, version)


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


def _locked(
    fleet: Fleet, key: Key, service: str, release: str, name: str, *, judge: bool = True
) -> Iterator[Problem]:
    """Yield a problem unless the lock file ``name`` pins a release, and what is wrong with it.

    ``judge``: hold its pins against the advisories.
    """
    lock = fleet.locks.find(service, name)
    if lock is None:
        yield _missing(fleet, key, service, release, name)
        return
    try:
        text = reading.text(lock.path)
    except reading.Unreadable as error:
        yield Problem(Place(lock.shown, 0), (), error.mistake, error.remedy)
        return
    if lock.own:
        tables = fleet.gateway is not None and fleet.gateway.database is not None
        if broken := list(own_locks.problems(lock, text, service, name, tables=tables)):
            yield from broken
            return
    if judge:
        yield from _judged(fleet, key, service, name, lock, text)


def _missing(fleet: Fleet, key: Key, service: str, release: str, name: str) -> Problem:
    build = name.removeprefix(release)
    known = [
        each.removesuffix("-cpu")
        for each in fleet.locks.releases(service)
        if each.endswith("-cpu") == bool(build)
    ]
    return fleet.document.problem(
        key,
        f"is {release}, for which there is no lock file.",
        f"Write {' or '.join(known)}, or add locks/{service}/{name}{SUFFIXES[service]}.",
    )


def _judged(
    fleet: Fleet, key: Key, service: str, name: str, lock: LockFile, text: str
) -> Iterator[Problem]:
    """Yield what a lock file pins and must not, and a warning if it was made in an emergency."""
    again = (
        f"write {lock.shown} again" if lock.own else f"write it again: `bin/lock {service} {name}`"
    )
    other = f"{again[:1].upper()}{again[1:]}; or name another release."
    for package, version, reasons in advisories.pinned(text):
        mistake = f"pins {package} {version}, which must not be installed: {reasons}."
        if lock.own:
            place = Place(lock.shown, own_locks.line_of(text, package))
            yield Problem(place, (), mistake, f"Pin another release of {package}.")
        else:
            yield fleet.document.problem(key, f"its lock file {mistake}", other)
    if service == "vllm" and not name.endswith("-cpu") and (unfit := cuda_mismatch(text)):
        yield fleet.document.problem(
            key,
            f"its lock file pins {unfit}: no engine could compile its kernels.",
            other,
        )
    if why := emergency(text):
        yield fleet.document.warning(
            key,
            f"its lock file holds releases of less than a week {why}.",
            f"A week later, {again}.",
        )
