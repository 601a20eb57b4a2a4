"""A deploy that brings the weights of engines and nothing else: their environments are too large.

tests/lab/long/test_neighbours.py writes a small one with the hub's client to ``ENVIRONMENT``.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import weights
from mirrorfleet.roles.vllm.render import USER
from mirrorfleet.runtime import packages
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Fact, User
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.preflight import preflight
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.steps import in_order, take_steps

ENVIRONMENT = "/srv/hub-client"


class WeightsAlone(Role):
    """The weights of a host's engines, with the commands of the real role."""

    title = "Weights"

    def facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        yield User(USER)
        for engine in plan.engines_of(VllmPlan):
            yield from weights.facts(engine)

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        for engine in plan.engines_of(VllmPlan):
            yield from weights.changes(engine, observed)

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (Step("system user", self.create_user), Step("weights", self.bring))

    def create_user(self, plan: HostPlan, observed: Observation) -> Commands:
        yield from packages.create_user(USER, observed)

    def bring(self, plan: HostPlan, observed: Observation) -> Commands:
        engines = [(engine, ENVIRONMENT) for engine in plan.engines_of(VllmPlan)]
        yield from weights.fetch(engines, observed)


if __name__ == "builtins":  # pyinfra runs this file; the test imports ENVIRONMENT
    role = WeightsAlone()
    preflight(role)
    for each in in_order([role]):
        take_steps(each, each.apply)
