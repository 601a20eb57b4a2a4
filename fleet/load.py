"""From a path to a checked fleet: the one way in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from fleet import check, shape, spec
from fleet.document import read
from fleet.problems import FleetError, Key, Problem, in_order


def load(path: str | Path, today: date | None = None) -> spec.Fleet:
    """Read, validate and check a fleet file, as of ``today``. The fleet carries the warnings.

    Raises ``FleetError`` with every mistake at once.
    """
    document, problems = shape.examine(read(Path(path)))
    if document is None:
        raise FleetError(problems)
    fleet = spec.fleet(document)
    found = check.problems(fleet, today or datetime.now(UTC).date())
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
