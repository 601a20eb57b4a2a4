"""Back to the generation before, on purpose: any service of the fleet, host after host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyinfra import inventory
from pyinfra.api.exceptions import DeployError

from fleet.plan import HostPlan
from fleet.problems import did_you_mean
from roles import host, show
from roles.host import generations, service
from roles.host.commands import Commands, operation
from roles.host.observe import Observation, Question
from roles.host.report import Change
from roles.host.rollout import in_turn
from roles.host.service import Service


@dataclass(frozen=True)
class Rollback:
    """One service that goes back, by its name: ``litellm``, ``front``, ``vllm-coder``."""

    name: str

    def service(self, plan: HostPlan, seen: Observation) -> Service | None:
        """Return the service as it should be on a host that is to have it."""
        return next((each for each in show.services(plan, seen) if each.name == self.name), None)

    def questions(self, plan: HostPlan) -> list[Question]:
        """What must be known of a host: the generations of the service."""
        found = self.service(plan, show.UNSEEN)
        return service.questions(found.name, found.user, found.port) if found else []

    def refusals(self, plan: HostPlan, seen: Observation) -> list[str]:
        """Why a host cannot go back."""
        found = self.service(plan, seen)
        if found is None or _former(found, seen):
            return []
        return [f"has no generation of {found.unit_name} before the one that it has."]

    def changes(self, plan: HostPlan, seen: Observation) -> Iterator[Change]:
        """What will be changed on a host."""
        if found := self.service(plan, seen):
            current = seen.links.get(f"{found.directory}/current", "nothing")
            yield Change(f"{found.unit_name} goes back from {current.removeprefix('generations/')}")

    def fetch(self, plan: HostPlan, seen: Observation) -> None:
        """Nothing: all of it is on the host."""


def of(name: str) -> Rollback:
    """Return the way back of a service. Raises ``DeployError`` when no host of the run has it."""
    known = {each.name for host in inventory for each in show.services(host.data.plan, show.UNSEEN)}
    if name not in known:
        raise DeployError(f"no host has a service '{name}'. {did_you_mean(name, known)}")
    return Rollback(name)


def go(back: Rollback) -> None:
    """Let this host go back, if it has the service."""
    if back.service(host.plan(), host.seen()):
        switch(back, name="back to the generation before, wait until it serves", _serial=True)


@operation
def switch(back: Rollback) -> Commands:
    """One that fails stops those after it."""
    if found := back.service(host.plan(), host.seen()):
        yield from in_turn(generations.back(found))


def _former(found: Service, seen: Observation) -> bool:
    """Is there a generation beside the current one?"""
    inside = f"{found.directory}/generations/"
    names = {path.removeprefix(inside).split("/")[0] for path in seen.files if inside in path}
    current = seen.links.get(f"{found.directory}/current", "").removeprefix("generations/")
    return bool({name for name in names if not name.endswith(".new")} - {current})
