"""Load and check a fleet file. No host is contacted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from mirrorfleet import checks, config, lock_folders
from mirrorfleet.config import requires, schema_validation
from mirrorfleet.config.document import read
from mirrorfleet.config.problems import FleetError, Key, Problem, in_order
from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.planning import FleetPlan, HostPlan, plan

__all__ = ["FleetError", "FleetPlan", "HostPlan", "Problem", "load", "plan"]


def load(path: str | Path, today: date | None = None) -> config.Fleet:
    """Read, validate and check a fleet file, as of the date ``today`` (UTC; default: now).

    The fleet has the warnings. Raise ``FleetError`` with all errors.
    """
    merged = read(Path(path))
    if problem := requires.problem(merged):
        raise FleetError([problem])
    document, problems = schema_validation.examine(merged)
    if document is None:
        raise FleetError(problems)
    readers = {name: engine.read for name, engine in ENGINES.items()}
    fleet = config.fleet(document, readers, lock_folders.locks(Path(path)))
    found = checks.problems(fleet, today or datetime.now(UTC).date())
    problems += _independent(document.lost, found)
    if any(problem.severity == "error" for problem in problems):
        raise FleetError(problems)
    return replace(fleet, warnings=in_order(problems))


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
