"""The removal of unused weights and environments: the role of deploys/remove_weights.py."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from typing import Any

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import software, weights
from mirrorfleet.roles.vllm.facts import UnusedWeights
from mirrorfleet.roles.vllm.software import ENVIRONMENTS
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT, WEIGHTS
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.shell import call

CREATED = re.compile(
    rf"{WEIGHTS}/[^/]+-[0-9a-f]{{12}}(\.part|\.old)?|{ENVIRONMENTS}/[^/]+-[0-9a-f]{{8}}(-\d)?"
)
"""The directories that runs create there. No other directory is removed."""

UNUSED = (UnusedWeights(ROOT, ENVIRONMENTS), UnusedWeights(ROOT, WEIGHTS))


class WeightsRemoval(Role):
    """Remove unused weights and environments from all hosts, also those without models.

    A switch of a model removes environments that no generation needs. On a host whose last model
    was removed, no switch follows.
    """

    title = "vLLM"

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        return [*UNUSED]

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        for place, size in _unused(plan, observed).items():
            yield Change(f"{place} ({size / 1e9:.2f} GB) will be removed")

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (Step("unused weights and environments", self.clear),)

    def clear(self, plan: HostPlan, observed: Observation) -> Commands:
        """Remove what no generation uses and the fleet file does not need."""
        if unused := _unused(plan, observed):
            yield script(call("rm", "-rf", *unused))


def _unused(plan: HostPlan, observed: Observation) -> dict[str, int]:
    """Return the directories that will be removed, and the bytes that they take."""
    needed = [weights.known_location(engine) for engine in plan.engines_of(VllmPlan)]
    needed += [f"{place}.part" for place in needed]
    needed += [software.known_directory(engine) for engine in plan.engines_of(VllmPlan)]
    return {
        place: size
        for fact in UNUSED
        for place, size in sorted(observed[fact].items())
        if CREATED.fullmatch(place) and not any(fnmatch(place, pattern) for pattern in needed)
    }
