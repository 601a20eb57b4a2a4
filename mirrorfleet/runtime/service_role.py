"""A role whose services run in generations: installed, staged, switched and removed alike.

A role of this kind says which services a host has (`instances`), what holds for every generation of
one (`installed`), what one should run (`render`), and lists its steps. `service.py` explains
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
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Fact, Package, Services
from mirrorfleet.runtime.observe import Observation, assumed
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.service import Installed, Service

Instance = TypeVar("Instance")
"""The plan of one service: a VllmPlan, a RedisPlan."""


class ServiceRole(Role, Generic[Instance]):
    """The base of roles with services."""

    user: ClassVar[str]
    """The system user of the services."""

    unit_names: ClassVar[str]
    """A pattern for the names of all services that the role ever puts on a host: "vllm-*"."""

    part: ClassVar[Part | None] = None
    """The part of a host that is skipped, and these services with it, if they cannot work."""

    marker_of_other_files: ClassVar[str] = ""
    """A path that exists on the host while the user owns files elsewhere: then the user stays."""

    rolling: ClassVar[bool] = False
    """Switch one host after another, and stop at the first that fails?"""

    # What a role says of its services.

    @abstractmethod
    def instances(self, plan: HostPlan) -> Sequence[Instance]:
        """Return the plans of the services on a host."""

    @abstractmethod
    def installed(self, instance: Instance, observed: Observation) -> Installed:
        """Return what holds for every generation of a service. Needs no secret and no lock file."""

    @abstractmethod
    def render(self, instance: Instance, observed: Observation) -> Service:
        """Return the generation that a service should run.

        Raises ``DeployError`` for a secret or a lock file that is missing.
        """

    @abstractmethod
    def packages(self, plan: HostPlan, observed: Observation) -> Iterable[str]:
        """Return the system packages that the services need."""

    def steps(self, plan: HostPlan) -> Sequence[Step]:
        """Return the steps of `apply` on a host with services."""
        return (self.install_packages, self.create_user, self.stage, self.switch)

    def more_facts(self, plan: HostPlan) -> Iterable[Fact[Any]]:
        """Return what else to ask a host with services."""
        return ()

    def more_changes(self, plan: HostPlan, observed: Observation) -> Iterable[Change]:
        """Return what else will change on a host with services, before their generations."""
        return ()

    # The steps that all of them share.

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
        return Step("switch, restart, wait until it serves", self.switch_all, serial=self.rolling)

    def stage_generations(self, plan: HostPlan, observed: Observation) -> Commands:
        """Put changed generations on the host; what runs is not touched."""
        for each in self.instances(plan):
            yield from generations.place(self.render(each, observed), observed)

    def switch_all(self, plan: HostPlan, observed: Observation) -> Commands:
        """Switch to changed generations, each proved before the next."""
        commands = self.switch_generations(plan, observed)
        yield from rollout.rolling(commands) if self.rolling else commands

    def switch_generations(self, plan: HostPlan, observed: Observation) -> Commands:
        for each in self.instances(plan):
            yield from generations.switch(self.render(each, observed), observed)

    # What a run asks of every role.

    def facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        yield Services(self.unit_names)
        for each in self.services(plan, NOTHING):
            yield from service.facts(each.name, each.user, each.port)
        if self.instances(plan):
            yield from (Package(name) for name in self.packages(plan, NOTHING))
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
        yield from service_removal.changes(self.departed(plan, observed))

    def generation_changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        for each in self.instances(plan):
            yield from drift.changes(self.render(each, observed), observed)

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return self.steps(plan) if self.instances(plan) and not self.is_skipped(plan) else ()

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if self.is_skipped(plan):
            return ()
        return (Step("services that left the fleet file", self.remove_departed),)

    def remove_departed(self, plan: HostPlan, observed: Observation) -> Commands:
        """Stop and remove services. Software, weights, models and databases stay."""
        yield from service_removal.remove(self.departed(plan, observed))

    def departed(self, plan: HostPlan, observed: Observation) -> list[str]:
        """Return the services of this role that are on the host and not in its plan."""
        return service_removal.departed(self.unit_names, self.names(plan), observed)

    def names(self, plan: HostPlan) -> list[str]:
        """Return the names of the services in the plan, and of units that come with them."""
        return [each.name for each in self.services(plan, NOTHING)]

    def is_skipped(self, plan: HostPlan) -> bool:
        """Does this run skip the part of the host that these services belong to?"""
        return self.part is not None and skipped.skips(plan, self.part)

    def services(self, plan: HostPlan, observed: Observation) -> list[Installed]:
        return [self.installed(each, observed) for each in self.instances(plan)]

    def desired(
        self, plan: HostPlan, observed: Observation
    ) -> Iterator[tuple[str, Callable[[], Service]]]:
        for each in self.instances(plan):
            yield self.installed(each, observed).name, partial(self.render, each, observed)


NOTHING = assumed()
"""Of a host that was not asked yet: enough for the names, users and ports of services."""
