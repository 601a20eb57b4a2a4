"""The removal of weights and environments that no service of a host uses: see
deploys/remove_weights.py."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import software, weights
from mirrorfleet.roles.vllm.software import ENVIRONMENTS
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.paths import ROOT, WEIGHTS
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.shell import call

OURS = re.compile(
    rf"{WEIGHTS}/[^/]+-[0-9a-f]{{12}}(\.part|\.old)?|{ENVIRONMENTS}/[^/]+-[0-9a-f]{{8}}(-\d)?"
)
"""What runs have made there; nothing else is removed, whoever put it there."""


class WeightsRemoval(Role):
    """Weights and environments that nothing uses, off any host: a model may have left this one.

    A change of a model removes the environments that no generation needs. Where the last model has
    left, there is no such change any more.
    """

    title = "vLLM"

    def questions(self, plan: HostPlan) -> list[Question]:
        return [("unused", ROOT, WEIGHTS), ("unused", ROOT, ENVIRONMENTS)]

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        for place in _unused(plan, observed):
            yield Change(f"{place} ({observed.unused[place] / 1e9:.2f} GB) will be removed")

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (Step("unused weights and environments", self.clear),)

    def clear(self, plan: HostPlan, observed: Observation) -> Commands:
        """Remove what no generation starts with and the fleet file does not need."""
        if unused := _unused(plan, observed):
            yield script(call("rm", "-rf", *unused))


def _unused(plan: HostPlan, observed: Observation) -> list[str]:
    needed = [weights.known_location(engine) for engine in plan.engines_of(VllmPlan)]
    needed += [f"{place}.part" for place in needed]
    needed += [software.known_directory(engine) for engine in plan.engines_of(VllmPlan)]
    return sorted(
        place
        for place in observed.unused
        if OURS.fullmatch(place) and not any(fnmatch(place, pattern) for pattern in needed)
    )
