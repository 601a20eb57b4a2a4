"""Pure: engines that already run, as a gateway's host finds them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.planning import HostPlan, LitellmPlan
from mirrorfleet.runtime.facts import Fact, Lines, last
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT

SECONDS = 300
"""Seconds for all engines of a gateway, which are read at the same time."""

Report = list[dict[str, Any]]


@dataclass(frozen=True)
class RunningEngines(Fact[Report]):
    """The report of running_engines.py: ``model``, ``faults`` and ``proof`` of each engine.

    Empty without one. The script belongs to the current generation below ``directory``.
    """

    seconds: int
    directory: str

    function = "running_engines"
    shell = (Path(__file__).parent / "running.sh",)

    def value(self, lines: Lines) -> Report:
        packed = last(lines)
        found: Report = json.loads(base64.b64decode(packed)) if packed else []
        return found


def facts(gateway: LitellmPlan) -> Iterator[RunningEngines]:
    """Yield the fact of the engines that already run, if there are any."""
    if any(route.running for route in gateway.routes):
        yield RunningEngines(SECONDS, f"{ROOT}/litellm")


def timeout(plan: HostPlan) -> int:
    """Return the seconds that the engines of a host's gateway may take."""
    return SECONDS if plan.gateway and any(facts(plan.gateway)) else 0


def engines(
    gateway: LitellmPlan, observed: Observation
) -> Iterator[tuple[str, str, str, Any, Any]]:
    """Yield title, URL, model, faults and proof of each engine; ``None`` for what has no report."""
    for fact in facts(gateway):
        reports = {each["model"]: each for each in observed[fact]}
        for route in gateway.routes:
            if route.engine and route.running:
                title, found = ENGINES[route.engine].title, reports.get(route.model, {})
                url, proof = route.running.url, found.get("proof")
                yield title, url, route.model, found.get("faults"), proof
