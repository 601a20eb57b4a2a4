"""The base of roles. A role is one part of what a host runs, such as Redis or the firewall.

A run reads the facts of all roles from every host in one exec, stops if a role finds an error,
prints the changes, and then takes the roles' steps. Roles have no state: `run.py` has the state of
a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.service import Installed, Service


@dataclass(frozen=True)
class Step:
    """One operation of a role: its name in the output, and its commands for a host.

    If ``commands`` yields none, the host does not take part in the step. With ``serial``, hosts
    take the step one after another.
    """

    name: str
    commands: Callable[[HostPlan, Observation], Commands]
    serial: bool = False


class Role:
    """The base of all roles. A role overrides the methods that it needs; the others do nothing.

    ``plan`` is the desired state of the host, ``observed`` its present state.
    """

    title: str
    """The heading of the role's steps in the output."""

    removable_services: ClassVar[tuple[str, ...]] = ()
    """Short names of services that no client depends on: deploys/remove_hosts.py removes them."""

    def facts(self, plan: HostPlan) -> Iterable[Fact[Any]]:
        """Return the facts that the role needs to compare a host with its plan."""
        return ()

    def problems(self, plan: HostPlan, observed: Observation) -> Iterable[Problem]:
        """Return why the plan cannot work on the host, each problem with its fix.

        An error ends the run, a warning does not, and a skip leaves out a part: see `problems.py`.
        """
        return ()

    def changes(self, plan: HostPlan, observed: Observation) -> Iterable[Change]:
        """Return everything that the role's steps will change on the host."""
        return ()

    def notices(self, plan: HostPlan, observed: Observation) -> Iterable[str]:
        """Return notes for an administrator about things that a run does not change."""
        return ()

    def fetch(self, plan: HostPlan, observed: Observation) -> None:
        """Download the files that the host will receive to this machine."""

    # The steps of a run, in four rounds. Each takes the roles in the order of the registry,
    # `remove` in the reverse order. A host has either all steps of a round or none of them.

    def authorize(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        """Return the steps that activate new keys and revoke others, before all other steps."""
        return ()

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        """Return the steps that make the host match its plan."""
        return ()

    def held(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        """Return the steps in place of `apply` on a host whose ring is held: see jobs/rings."""
        return ()

    def retire(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        """Return the steps that revoke former keys and passwords, once nothing needs them."""
        return ()

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        """Return the steps that remove what is not in the fleet file, after its dependents."""
        return ()

    # Methods for other deploys and commands. Only `desired` and `files` look up secrets.

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        """Yield the keys of the fleet file that assign this role to the host."""
        yield from ()

    def services(self, plan: HostPlan, observed: Observation) -> Sequence[Installed]:
        """Return the role's services on the host: names, users, ports and readiness checks."""
        return ()

    def desired(
        self, plan: HostPlan, observed: Observation
    ) -> Iterable[tuple[str, Callable[[], Service]]]:
        """Return the name of each service, and a function that renders its desired generation."""
        return ()

    def files(self, plan: HostPlan, observed: Observation) -> Iterator[tuple[str, str]]:
        """Yield path and text of every file that the host will get, except programs."""
        for _, render in self.desired(plan, observed):
            service = render()
            for member in service.members():
                if not member.name.endswith(".py"):
                    yield f"{service.directory}/current/{member.name}", member.content.decode()

    def driver_problems(self, plan: HostPlan, release: str) -> Iterable[Problem]:
        """Return why this release of NVIDIA's driver is too old for the host's engines."""
        return ()

    def kept_state(self) -> Mapping[str, str]:
        """Return the directories that a decommissioned host keeps, each with the option that
        removes it: their data took hours to download, or cannot be restored."""
        return {}
