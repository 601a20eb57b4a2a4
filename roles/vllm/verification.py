"""All weights of an engine host, read and compared with what once arrived."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api import deploy

from mirrorfleet import runtime
from mirrorfleet.planning import HostPlan, VllmPlan
from mirrorfleet.roles.vllm import weights
from mirrorfleet.roles.vllm.render import FILES, WHOLE
from mirrorfleet.runtime.commands import Commands, operation, telling
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import positional, shell


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of an engine host."""
    return [question for engine in plan.engines for question in weights.questions(engine)]


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """Name the weights that are not there to be read."""
    return [
        f"has no {_place(engine)} for '{engine.model}'. Run deploys/mirror.py first."
        for engine in plan.engines
        if _place(engine) not in seen.paths
    ]


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """Nothing is changed."""
    yield from ()


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Nothing is sent."""


@deploy("Weights")
def verify() -> None:
    """Read the weights of this host's engines."""
    read(name="every byte compared with what arrived")


@operation
def read() -> Commands:
    """Read all; what is wrong of one hides nothing of the others."""
    engines = runtime.plan().engines
    if engines:
        verify = shell(FILES / "verify_weights.sh", program=WHOLE)
        words = (word for each in engines for word in (_mode(each), _place(each)))
        yield telling(positional(*words) + verify, "")


def _place(engine: VllmPlan) -> str:
    return weights.location(engine.model, engine.weights)


def _mode(engine: VllmPlan) -> str:
    """Of weights that others put there, no digests are known: what can be, is checked."""
    return "check" if engine.weights.kind == "path" else "verify"
