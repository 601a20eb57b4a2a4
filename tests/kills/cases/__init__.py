"""The cases by name. Each module has those of one part; `cases` needs a directory for its files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mirrorfleet.planning import HostPlan
from tests.kills.case import Case
from tests.kills.cases import clients, database, gateway, software, weights
from tests.roles.fleets import planned, prepare_project


def lab_gateway(directory: Path) -> HostPlan:
    """Return the plan of a gateway of the lab's fleet, in a prepared directory."""
    return planned(directory, "lab").hosts["gw-1"]


def cases(directory: Path) -> Iterator[Case]:
    """Yield all cases."""
    os.environ |= prepare_project(directory)
    plan = lab_gateway(directory)
    yield from clients.cases()
    yield from gateway.cases(plan)
    yield from weights.cases(directory / "source")
    yield from software.cases(directory, plan)
    yield from database.cases(plan)
