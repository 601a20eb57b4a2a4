"""Load and check a fleet file. No host is contacted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from mirrorfleet import advisory_folders, checks, config, lock_folders
from mirrorfleet.config import requires, schema_validation
from mirrorfleet.config.document import Document, read
from mirrorfleet.config.problems import FleetError, Key, Problem, in_order
from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.planning import FleetPlan, HostPlan, plan

__all__ = ["FleetError", "FleetPlan", "HostPlan", "Problem", "load", "plan", "with_any_release"]

_any_release = ContextVar("_any_release", default=False)


@contextmanager
def with_any_release() -> Iterator[None]:
    """Accept releases that advisories refuse, or that have no lock file, in fleet files.

    For what reports such releases. Such a fleet cannot be planned.
    """
    token = _any_release.set(True)
    try:
        yield
    finally:
        _any_release.reset(token)


def load(path: str | Path, today: date | None = None) -> config.Fleet:
    """Read, validate and check a fleet file, as of the date ``today`` (UTC; default: now).

    The fleet has the warnings. Raise ``FleetError`` with all errors.
    """
    return checked(read(Path(path)), today)


def checked(merged: Document, today: date | None = None) -> config.Fleet:
    """Validate and check a document, as ``load`` does. Raise ``FleetError`` with all errors."""
    path = merged.path
    if problem := requires.problem(merged):
        raise FleetError([problem])
    document, problems = schema_validation.examine(merged)
    if document is None:
        raise FleetError(_where_written(merged, problems))
    readers = {name: engine.read for name, engine in ENGINES.items()}
    locks, advisories = lock_folders.locks(path), advisory_folders.advisories(path)
    fleet = config.fleet(document, readers, locks, advisories)
    fleet = replace(fleet, any_release=_any_release.get())
    found = checks.problems(fleet, today or datetime.now(UTC).date())
    problems = _where_written(merged, [*problems, *_independent(document.lost, found)])
    if any(problem.severity == "error" for problem in problems):
        raise FleetError(problems)
    return replace(fleet, warnings=in_order(problems))


def _where_written(document: Document, problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems at the keys as the file has them: one for what many groups inherit."""
    return [replace(problem, key=document.written(problem.key)) for problem in problems]


def _independent(lost: Iterable[Key], found: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the problems that do not follow from an invalid key.

    ``lost`` are keys that were removed because their values do not fit the schema. A problem at,
    above or below one of them, or with one in ``given``, would report the same cause again.
    """
    for problem in found:
        if not any(
            key[: len(problem.key)] == problem.key[: len(key)]
            or any(given[: len(key)] == key for given in problem.given)
            for key in lost
        ):
            yield problem
