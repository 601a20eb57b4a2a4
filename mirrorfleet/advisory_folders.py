"""The advisories for a fleet: the shipped ones, and those of its project.

A project has its own in ``advisories/``, beside the fleet file or beside its directory: JSON files
in OSV's format. `mirrorfleet audit --refresh` writes them there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from mirrorfleet.config import reading
from mirrorfleet.config.advisories import Advisories, Advisory, collected, parse
from mirrorfleet.config.problems import FleetError, Place, Problem

SHIPPED = Path(__file__).parent / "data" / "advisories"
OWN = "advisories"


def advisories(fleet_file: Path) -> Advisories:
    """Return the advisories for a fleet file. One of its project replaces a shipped one.

    Raises ``FleetError`` for a file of the project that is not in OSV's format.
    """
    own = own_folder(fleet_file)
    return collected([*_shipped(), *(_read(own) if own else ())])


def own_folder(fleet_file: Path) -> Path | None:
    """Return the ``advisories/`` of the fleet file's project; ``None`` if it has none."""
    # Resolved, because a fleet file can be a symbolic link into its project.
    directory = fleet_file.resolve().parent
    folders = (directory / OWN, directory.parent / OWN)
    return next((folder for folder in folders if folder.is_dir()), None)


@cache
def _shipped() -> tuple[Advisory, ...]:
    return tuple(_read(SHIPPED))


def _read(folder: Path) -> Iterator[Advisory]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield from parse(json.loads(reading.text(path)))
        except ValueError as error:
            mistake = "is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            raise FleetError([_problem(path, f"{mistake}.")]) from None
        except reading.Unreadable as error:
            raise FleetError([_problem(path, error.mistake)]) from None


def _problem(path: Path, mistake: str) -> Problem:
    remedy = "Remove it, or write it again with `mirrorfleet audit --refresh`."
    return Problem(Place(str(path), 0), (), mistake, remedy)
