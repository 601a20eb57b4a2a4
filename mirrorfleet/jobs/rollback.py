"""The rollback of a service to its former generation, one host after another.

It renders nothing and needs no secret: the hosts have the former generations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
from mirrorfleet.runtime.service_role import UNOBSERVED


class Rollback(Role):
    """The rollback of one service by its name: ``litellm``, ``front``, ``vllm-coder``.

    Followers, such as nodes of a model on several hosts, prepare first, and are verified last.
    """

    title = "Rollback"

    def __init__(self, name: str) -> None:
        self.name = name

    def service(self, plan: HostPlan, observed: Observation) -> Installed | None:
        """Return the service, if the host has it in its plan."""
        services = registry.services(plan, observed)
        return next((service for service in services if service.name == self.name), None)

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        found = self.service(plan, UNOBSERVED)
        return service.facts(found.name, found.user, found.port) if found else []

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        found = self.service(plan, observed)
        if found is None or found.follows:
            return
        if not drift.verified_generations(found, observed) - {drift.current(found, observed)}:
            yield error(
                f"{found.unit_name} has no verified generation except the current one.",
                "Change the fleet file, then run deploys/mirror.py.",
            )

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if found := self.service(plan, observed):
            current = drift.current(found, observed) or "nothing"
            yield Change(f"{found.unit_name} will be rolled back from {current}")

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (
            Step("followers, prepared to roll back", self.prepare_followers),
            Step("roll back, wait until ready", self.roll_back, serial=True),
            Step("followers, rolled back with their leader", self.verify_followers, serial=True),
        )

    def prepare_followers(self, plan: HostPlan, observed: Observation) -> Commands:
        """Prepare the followers; each runs on until its leader restarts it."""
        found = self.service(plan, observed)
        if found and found.follows:
            yield from generations.prepare_rollback(found)

    def roll_back(self, plan: HostPlan, observed: Observation) -> Commands:
        """Roll back, one host after another. The first failure stops the rest."""
        found = self.service(plan, observed)
        if found and not found.follows:
            yield from rolling(generations.roll_back(found))

    def verify_followers(self, plan: HostPlan, observed: Observation) -> Commands:
        """Record which generation each follower runs now."""
        found = self.service(plan, observed)
        if found and found.follows:
            yield from rolling(generations.roll_back(found))


def services(plans: Iterable[HostPlan]) -> set[str]:
    """Return the names of the services of hosts."""
    return {each.name for plan in plans for each in registry.services(plan, UNOBSERVED)}


def rollback_of(name: str) -> Rollback:
    """Return the rollback of a service.

    Raises ``DeployError`` if no host of the run has it, or if an engine has no registered role.
    """
    for host in run.hosts():
        for problem in registry.without_role(run.plan_of(host)):
            raise DeployError(problem.at(host.name))
    known = services(map(run.plan_of, run.hosts()))
    if name not in known:
        raise DeployError(f"no host has a service '{name}'. {did_you_mean(name, known)}")
    return Rollback(name)
