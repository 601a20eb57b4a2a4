"""From a path to a checked fleet, and to its plan: the one way in. No host is touched."""

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
    """Read, validate and check a fleet file, as of ``today``. The fleet carries the warnings.

    Raises ``FleetError`` with every mistake at once.
    """
    whole = read(Path(path))
    if problem := requires.problem(whole):
        raise FleetError([problem])
    document, problems = schema_validation.examine(whole)
    if document is None:
        raise FleetError(problems)
    readers = {name: each.read for name, each in ENGINES.items()}
    fleet = config.fleet(document, readers, lock_folders.locks(Path(path)))
    found = checks.problems(fleet, today or datetime.now(UTC).date())
    problems += _beside(document.lost, found)
    if any(each.severity == "error" for each in problems):
        raise FleetError(problems)
    return replace(fleet, warnings=in_order(problems))


def _beside(lost: Iterable[Key], found: Iterable[Problem]) -> Iterator[Problem]:
    """Yield what was found that is not at, above or below a key that was lost, nor rests on one.

    A misspelt key would be told of a second time, as the contradiction that its absence makes.
    """
    for problem in found:
        if not any(
            key[: len(problem.key)] == problem.key[: len(key)]
            or any(given[: len(key)] == key for given in problem.given)
            for key in lost
        ):
            yield problem
