"""Back to the generation before: any service of the fleet, one host after another.

Nothing is rendered and no secret is read: all of it is on the hosts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.problems import Problem, did_you_mean
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles import registry
from mirrorfleet.runtime import drift, generations, run, service
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.rollout import rolling
from mirrorfleet.runtime.service import Installed
from mirrorfleet.runtime.service_role import NOTHING


class Rollback(Role):
    """One service that goes back, by its name: ``litellm``, ``front``, ``vllm-coder``.

    A service that ``follows`` another host, such as a node of a model on several hosts, prepares to
    go back first, and its result is recorded last.
    """

    title = "Rollback"

    def __init__(self, name: str) -> None:
        self.name = name

    def service(self, plan: HostPlan, observed: Observation) -> Installed | None:
        """Return the service, on a host that has it in its plan."""
        found = (each for each in registry.services(plan, observed) if each.name == self.name)
        return next(found, None)

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        found = self.service(plan, NOTHING)
        return service.facts(found.name, found.user, found.port) if found else []

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        found = self.service(plan, observed)
        if found is None or found.follows:
            return
        if not drift.served(found, observed) - {drift.current(found, observed)}:
            yield error(
                f"no generation of {found.unit_name} but the current one has served.",
                "Write into the fleet file what should run, then run deploys/mirror.py.",
            )

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if found := self.service(plan, observed):
            current = drift.current(found, observed) or "nothing"
            yield Change(f"{found.unit_name} goes back from {current}")

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (
            Step("what follows another host is ready to go back with it", self.prepare_followers),
            Step("back to the generation before, wait until it serves", self.go_back, serial=True),
            Step("what follows another host has gone back with it", self.record, serial=True),
        )

    def prepare_followers(self, plan: HostPlan, observed: Observation) -> Commands:
        """Prepare what follows another host; it runs on until that host ends it."""
        found = self.service(plan, observed)
        if found and found.follows:
            yield from generations.stand_back(found)

    def go_back(self, plan: HostPlan, observed: Observation) -> Commands:
        """Go back, one host after another; one that fails stops the rest."""
        found = self.service(plan, observed)
        if found and not found.follows:
            yield from rolling(generations.back(found))

    def record(self, plan: HostPlan, observed: Observation) -> Commands:
        """Record which generation a follower runs now."""
        found = self.service(plan, observed)
        if found and found.follows:
            yield from rolling(generations.back(found))


def rollback_of(name: str) -> Rollback:
    """Return the rollback of a service.

    Raises ``DeployError`` if no host of the run has it, or if an engine has no registered role.
    """
    for host in run.hosts():
        for problem in registry.without_role(run.plan_of(host)):
            raise DeployError(problem.at(host.name))
    known = {
        service.name
        for each in run.hosts()
        for service in registry.services(run.plan_of(each), NOTHING)
    }
    if name not in known:
        raise DeployError(f"no host has a service '{name}'. {did_you_mean(name, known)}")
    return Rollback(name)
