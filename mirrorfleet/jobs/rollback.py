"""Back to the generation before, on purpose: any service of the fleet, host after host.

Nothing is rendered and no secret is read: all of it is on the hosts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyinfra import inventory
from pyinfra.api.exceptions import DeployError

from mirrorfleet import runtime
from mirrorfleet.config.problems import did_you_mean
from mirrorfleet.jobs import services
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import drift, generations, service
from mirrorfleet.runtime.commands import Commands, operation
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import Observation, assumed
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.rollout import in_turn
from mirrorfleet.runtime.service import Installed

UNSEEN = assumed()


@dataclass(frozen=True)
class Rollback:
    """One service that goes back, by its name: ``litellm``, ``front``, ``vllm-coder``."""

    name: str

    def service(self, plan: HostPlan, observed: Observation) -> Installed | None:
        """Return the service, on a host that is to have it."""
        found = (each for each in services.installed(plan, observed) if each.name == self.name)
        return next(found, None)

    def questions(self, plan: HostPlan) -> list[Fact[Any]]:
        """What must be known of a host: the generations of the service."""
        found = self.service(plan, UNSEEN)
        return service.questions(found.name, found.user, found.port) if found else []

    def refusals(self, plan: HostPlan, observed: Observation) -> list[str]:
        """Why a host cannot go back."""
        found = self.service(plan, observed)
        if (
            found is None
            or found.follows
            or drift.served(found, observed) - {drift.current(found, observed)}
        ):
            return []
        return [
            f"has no generation of {found.unit_name} but the current one that is known to have "
            "served. Write into the fleet file what you want, and run deploys/mirror.py."
        ]

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        """What will be changed on a host."""
        if found := self.service(plan, observed):
            current = drift.current(found, observed) or "nothing"
            yield Change(f"{found.unit_name} goes back from {current}")

    def fetch(self, plan: HostPlan, observed: Observation) -> None:
        """Nothing: all of it is on the host."""


def of(name: str) -> Rollback:
    """Return the way back of a service. Raises ``DeployError`` when no host of the run has it."""
    plans = (runtime.data.plan for runtime in inventory)
    known = {each.name for plan in plans for each in services.installed(plan, UNSEEN)}
    if name not in known:
        raise DeployError(f"no host has a service '{name}'. {did_you_mean(name, known)}")
    return Rollback(name)


def go(back: Rollback) -> None:
    """Let this host go back, if it has the service."""
    if back.service(runtime.plan(), runtime.seen()):
        stand_back(back, name="what follows another host is ready to go back with it")
        switch(back, name="back to the generation before, wait until it serves", _serial=True)
        follow(back, name="what follows another host has gone back with it", _serial=True)


@operation
def stand_back(back: Rollback) -> Commands:
    """What it runs goes on until the other host ends it."""
    found = back.service(runtime.plan(), runtime.seen())
    if found and found.follows:
        yield from generations.stand_back(found)


@operation
def switch(back: Rollback) -> Commands:
    """One that fails stops those after it."""
    found = back.service(runtime.plan(), runtime.seen())
    if found and not found.follows:
        yield from in_turn(generations.back(found))


@operation
def follow(back: Rollback) -> Commands:
    """What such a host has come to is put on record."""
    found = back.service(runtime.plan(), runtime.seen())
    if found and found.follows:
        yield from in_turn(generations.back(found))
