"""The verification of all weights on an engine host: the role of deploys/verify_weights.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import weights
from mirrorfleet.roles.vllm.render import FILES, WHOLE
from mirrorfleet.runtime.commands import Commands, visible_script
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.shell import positional, shell


class WeightsVerification(Role):
    """Read all weights of an engine host, and compare each byte with what was downloaded."""

    title = "Weights"

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        return [fact for engine in plan.engines_of(VllmPlan) for fact in weights.facts(engine)]

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        for engine in plan.engines_of(VllmPlan):
            if observed[weights.fact(engine)] is None:
                yield error(
                    f"no weights for '{engine.model}' at {_place(engine)}.",
                    "Run deploys/mirror.py first.",
                )

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if not plan.engines_of(VllmPlan):
            return ()
        return (Step("every byte compared with what was downloaded", self.compare),)

    def compare(self, plan: HostPlan, observed: Observation) -> Commands:
        """Read all weights; go on after a damaged model."""
        verify = shell(FILES / "verify_weights.sh", program=WHOLE)
        words = (word for each in plan.engines_of(VllmPlan) for word in (_mode(each), _place(each)))
        yield visible_script(positional(*words) + verify, "")


def _place(engine: VllmPlan) -> str:
    return weights.location(engine.model, engine.weights)


def _mode(engine: VllmPlan) -> str:
    """Return the mode of check_weights.py. Weights at a path have no known digests to compare."""
    return "check" if engine.weights.kind == "path" else "verify"
