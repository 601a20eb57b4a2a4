"""From a path to a checked fleet: the one way in."""

from __future__ import annotations

from pathlib import Path

from fleet import check, shape, spec
from fleet.document import read
from fleet.problems import FleetError


def load(path: str | Path) -> spec.Fleet:
    """Read, validate and check a fleet file.

    Raises ``FleetError`` with every mistake at once. Meaning is checked only where the shape is
    right, because a misspelt key would be reported a second time as a missing one.
    """
    document = read(Path(path))
    problems = list(shape.problems(document))
    if problems:
        raise FleetError(problems)
    fleet = spec.fleet(document)
    problems = list(check.problems(fleet))
    if problems:
        raise FleetError(problems)
    return fleet
