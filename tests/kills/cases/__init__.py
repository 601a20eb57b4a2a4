"""The cases by name. Each module has those of one part; `cases` needs a directory for its files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tests.kills.case import Case
from tests.kills.cases import clients, database, gateway, software, weights
from tests.roles.fleets import planned, prepare_project


def cases(directory: Path) -> Iterator[Case]:
    """Yield all cases."""
    os.environ |= prepare_project(directory)
    plan = planned(directory, "lab").hosts["gw-1"]
    yield from clients.cases()
    yield from gateway.cases(plan)
    yield from weights.cases(directory / "source")
    yield from software.cases(directory, plan)
    yield from database.cases(plan)
