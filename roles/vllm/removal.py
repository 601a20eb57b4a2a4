"""Weights and environments on a host that nothing there starts with any more, removed where
somebody asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyinfra.api import deploy

from mirrorfleet import runtime
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.vllm import environment, weights
from mirrorfleet.roles.vllm.render import ENVIRONMENTS
from mirrorfleet.runtime.commands import Commands, operation, script
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.paths import ROOT, WEIGHTS
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import call

OURS = re.compile(
    rf"{WEIGHTS}/[^/]+-[0-9a-f]{{12}}(\.part|\.old)?|{ENVIRONMENTS}/[^/]+-[0-9a-f]{{8}}(-\d)?"
)
"""What runs have made there; nothing else is removed, whoever put it there."""


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of any host: a model may have left this one.

    A change of a model removes the environments that no generation needs; where the last model has
    left, there is no such change any more.
    """
    return [("unused", ROOT, WEIGHTS), ("unused", ROOT, ENVIRONMENTS)]


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """Nothing speaks against it."""
    return []


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """Yield what will be removed."""
    for place in _unused(plan, seen):
        yield Change(f"{place} ({seen.unused[place] / 1e9:.2f} GB) will be removed")


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Nothing is sent."""


@deploy("vLLM")
def remove() -> None:
    """Remove from this host what it does not need."""
    clear(name="unused weights and environments removed")


@operation
def clear() -> Commands:
    """Remove what no generation starts with and the fleet file does not want."""
    if unused := _unused(runtime.plan(), runtime.seen()):
        yield script(call("rm", "-rf", *unused))


def _unused(plan: HostPlan, seen: Observation) -> list[str]:
    wanted = {weights.location(engine.model, engine.weights) for engine in plan.engines}
    wanted |= {f"{place}.part" for place in wanted}
    wanted |= {environment(engine).directory for engine in plan.engines}
    return sorted(each for each in seen.unused.keys() - wanted if OURS.fullmatch(each))
