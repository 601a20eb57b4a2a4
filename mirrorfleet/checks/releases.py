"""Releases without a lock file, or with one that must not be used."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from mirrorfleet.checks import advisories
from mirrorfleet.config import Fleet
from mirrorfleet.config.lock_files import emergency
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.data import has_table

ROLES = Path(__file__).parents[1] / "roles"


def problems(fleet: Fleet) -> Iterator[Problem]:
    if fleet.gateway:
        key, version = ("gateway", "version"), fleet.gateway.version
        if not any(advisories.problems(fleet, key, "litellm", version)):
            # The packages of an image are checked on the gateway. The lock file only shows that
            # Mirrorfleet knows the settings of this release.
            judge = fleet.gateway.runtime != "docker"
            yield from unlocked(fleet, key, "litellm", version, judge=judge)
            if version in locked("litellm") and not has_table(f"litellm_known/{version}"):
                yield fleet.document.problem(
                    key,
                    f"is {version}, whose settings are not known here: "
                    f"mirrorfleet/data/litellm_known/{version}.yml is missing.",
                    f"Generate it: .venv/bin/python -m tools.litellm_environment {version}",
                )
    for group in fleet.developers.values():
        yield from unlocked(fleet, ("developers", group.name, "version"), "claude", group.version)


def unlocked(
    fleet: Fleet, key: Key, role: str, release: str, suffix: str = "", *, judge: bool = True
) -> Iterator[Problem]:
    """Yield a problem unless a role has a lock file for the release.

    ``suffix`` selects a build: ``-cpu``. ``judge``: also check the packages that the file pins.
    """
    names, name = locked(role), f"{release}{suffix}"
    if name not in names:
        known = [
            name.removesuffix("-cpu") for name in names if name.endswith("-cpu") == bool(suffix)
        ]
        yield fleet.document.problem(
            key,
            f"is {release}, which has no lock file.",
            f"Choose one of {', '.join(known)}, or run `bin/lock {role} {name}` to create it.",
        )
    elif judge:
        yield from _judged(fleet, key, role, name)


def _judged(fleet: Fleet, key: Key, role: str, name: str) -> Iterator[Problem]:
    """Yield problems of the packages that a lock file pins, and a warning for very new ones."""
    text, again = lock_text(role, name), f"`bin/lock {role} {name}`"
    for bad in advisories.locked(text):
        yield fleet.document.problem(
            key,
            f"its lock file pins {bad}",
            f"Run {again} to update it, or choose another release.",
        )
    if reason := emergency(text):
        yield fleet.document.warning(
            key,
            f"its lock file pins releases that were less than a week old {reason}.",
            f"Run {again} a week later to update it.",
        )


@cache
def locked(role: str) -> tuple[str, ...]:
    """Return the releases that a role has lock files for."""
    return tuple(sorted(_files(role)))


def lock_text(role: str, name: str) -> str:
    """Return the lock file of a release."""
    return _files(role)[name].read_text("utf-8")


def _files(role: str) -> dict[str, Path]:
    """Return a role's lock files by release: of packages for Python, or in JSON for npm."""
    files = (ROLES / role / "locks").iterdir()
    return {path.stem: path for path in files if path.suffix in (".txt", ".json")}
