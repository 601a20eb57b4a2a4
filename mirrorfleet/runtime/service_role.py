"""The base of roles whose services run in generations.

A role of this kind defines the services of a host (`instances`), what all generations of a service
share (`installed`), its desired generation (`render`), and its steps. `service.py` explains
generations.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from mirrorfleet.config.problems import Part, Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import (
    drift,
    generations,
    packages,
    rollout,
    service,
    service_removal,
    skipped,
)
from mirrorfleet.runtime.canary import Canary
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Fact, Package, Services
from mirrorfleet.runtime.observe import Observation, assumed
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.service import Installed, Service

Instance = TypeVar("Instance")
"""The plan of one service, such as a VllmPlan or a RedisPlan."""


class ServiceRole(Role, Generic[Instance]):
    """The base of roles with services."""

    user: ClassVar[str]
    """The system user of the services."""

    unit_names: ClassVar[str]
    """A pattern for the names of all services of the role on any host: "vllm-*"."""

    part: ClassVar[Part | None] = None
    """The part of a host that a run skips if these services cannot work."""

    marker_of_other_files: ClassVar[str] = ""
    """A path that exists on the host while the user owns files elsewhere: then the user is kept."""

    rolling: ClassVar[bool] = False
    """Whether hosts switch one after another, and the first failure stops the rest."""

    # The definition of a role's services.

    @abstractmethod
    def instances(self, plan: HostPlan) -> Sequence[Instance]:
        """Return the plans of the services on a host."""

    @abstractmethod
    def installed(self, instance: Instance, observed: Observation) -> Installed:
        """Return what all generations of a service share. Needs no secret and no lock file."""

    @abstractmethod
    def render(self, instance: Instance, observed: Observation) -> Service:
        """Return the service with its desired generation.

        Raises ``DeployError`` if a secret or a lock file is missing.
        """

    @abstractmethod
    def packages(self, plan: HostPlan, observed: Observation) -> Iterable[str]:
        """Return the system packages that the services need."""

    def canary(self, instance: Instance) -> Canary | None:
        """Return the session of two turns that measures a service; ``None`` without one.

        ``mirrorfleet verify --canary`` asks it. A role that returns one adds the hooks of
        roles/proof/canary.py to ``installed``.
        """
        return None

    def steps(self, plan: HostPlan) -> Sequence[Step]:
        """Return the steps of `apply` on a host with services."""
        return (self.install_packages, self.create_user, self.stage, self.switch)

    def more_facts(self, plan: HostPlan) -> Iterable[Fact[Any]]:
        """Return further facts of a host with services."""
        return ()

    def more_changes(self, plan: HostPlan, observed: Observation) -> Iterable[Change]:
        """Return further changes on a host with services, before their generations."""
        return ()

    # The steps that these roles share.

    @property
    def install_packages(self) -> Step:
        return Step(
            "system packages",
            lambda plan, observed: packages.install(self.packages(plan, observed), observed),
        )

    @property
    def create_user(self) -> Step:
        return Step("system user", lambda plan, observed: packages.create_user(self.user, observed))

    @property
    def stage(self) -> Step:
        return Step("new generation, beside the running one", self.stage_generations)

    @property
    def switch(self) -> Step:
        return Step("switch, restart, wait until ready", self.switch_all, serial=self.rolling)

    def stage_generations(self, plan: HostPlan, observed: Observation) -> Commands:
        """Write changed generations to the host. Running services are unaffected."""
        for each in self.instances(plan):
            yield from generations.stage(self.render(each, observed), observed)

    def switch_all(self, plan: HostPlan, observed: Observation) -> Commands:
        """Switch to changed generations, each verified before the next."""
        commands = self.switch_generations(plan, observed)
        yield from rollout.rolling(commands) if self.rolling else commands

    def switch_generations(self, plan: HostPlan, observed: Observation) -> Commands:
        for each in self.instances(plan):
            yield from generations.switch(self.render(each, observed), observed)

    # The methods of every role.

    def facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        yield Services(self.unit_names)
        for each in self.services(plan, UNOBSERVED):
            yield from service.facts(each.name, each.user, each.port)
        if self.instances(plan):
            yield from (Package(name) for name in self.packages(plan, UNOBSERVED))
            yield from self.more_facts(plan)

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        for each in self.instances(plan):
            yield from service.port_problems(self.render(each, observed), observed)

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if self.is_skipped(plan):
            return
        if self.instances(plan):
            yield from packages.missing(observed, self.packages(plan, observed), self.user)
            yield from self.more_changes(plan, observed)
            yield from self.generation_changes(plan, observed)
        yield from service_removal.changes(self.removed_services(plan, observed))

    def generation_changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        for each in self.instances(plan):
            yield from drift.changes(self.render(each, observed), observed)

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return self.steps(plan) if self.instances(plan) and not self.is_skipped(plan) else ()

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if self.is_skipped(plan):
            return ()
        return (Step("services that are no longer in the fleet file", self.stop_removed),)

    def stop_removed(self, plan: HostPlan, observed: Observation) -> Commands:
        """Stop and remove services. Software, weights, models and databases stay."""
        yield from service_removal.remove(self.removed_services(plan, observed))

    def removed_services(self, plan: HostPlan, observed: Observation) -> list[str]:
        """Return the services of this role on the host that are not in its plan."""
        return service_removal.removed(self.unit_names, self.names(plan), observed)

    def names(self, plan: HostPlan) -> list[str]:
        """Return the names of the services in the plan, and of their auxiliary units."""
        return [each.name for each in self.services(plan, UNOBSERVED)]

    def is_skipped(self, plan: HostPlan) -> bool:
        """Return whether this run skips the part of the host with these services."""
        return self.part is not None and skipped.is_skipped(plan, self.part)

    def services(self, plan: HostPlan, observed: Observation) -> list[Installed]:
        return [self.installed(each, observed) for each in self.instances(plan)]

    def desired(
        self, plan: HostPlan, observed: Observation
    ) -> Iterator[tuple[str, Callable[[], Service]]]:
        for each in self.instances(plan):
            yield self.installed(each, observed).name, partial(self.render, each, observed)


UNOBSERVED = assumed()
"""A host that was not read yet: enough for the names, users and ports of services."""
