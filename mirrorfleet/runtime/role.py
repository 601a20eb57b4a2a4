"""What a role is: one part of what a host runs, such as Redis or the firewall.

A run asks every host for the facts of all roles in one exec, stops if any role finds a problem,
prints the changes, and then takes the roles' steps. Roles hold no state: what a run knows is in
`run.py`.
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
    """One operation of a role: its name in the output, and what it does on a host.

    ``commands`` yields shell commands, and none where nothing is to change: then the host takes no
    part in the step. With ``serial``, hosts take the step one after another.
    """

    name: str
    commands: Callable[[HostPlan, Observation], Commands]
    serial: bool = False


class Role:
    """The base of all roles. A role overrides what it needs; the rest does nothing.

    ``plan`` is what the host is to be, ``observed`` how it was found.
    """

    title: ClassVar[str]
    """What the role's steps are listed under in the output."""

    removable_services: ClassVar[tuple[str, ...]] = ()
    """Short names of services that no client depends on: deploys/remove_hosts.py removes them."""

    def facts(self, plan: HostPlan) -> Iterable[Fact[Any]]:
        """Return what must be known of a host, to compare it with its plan."""
        return ()

    def problems(self, plan: HostPlan, observed: Observation) -> Iterable[Problem]:
        """Return why the plan cannot work on the host as it is, each with its fix.

        See `problems.py`: an error ends the run, a warning does not, and a skip leaves out a part.
        """
        return ()

    def changes(self, plan: HostPlan, observed: Observation) -> Iterable[Change]:
        """Return all that the role's steps will change on the host."""
        return ()

    def notices(self, plan: HostPlan, observed: Observation) -> Iterable[str]:
        """Return what a run leaves as it is, and an administrator may want to know."""
        return ()

    def fetch(self, plan: HostPlan, observed: Observation) -> None:
        """Download to this machine what the host will receive."""

    # The steps of a run, in four phases. Each takes the roles in the order of the registry,
    # `remove` in the reverse order. A host has either all steps of a phase or none of them.

    def authorize(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        """Return the steps that admit new keys and refuse revoked ones, before all other steps."""
        return ()

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        """Return the steps that make the host what its plan says."""
        return ()

    def retire(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        """Return the steps that end former keys and passwords, once nothing needs them."""
        return ()

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        """Return the steps that remove what left the fleet file, once nothing depends on it."""
        return ()

    # What the other deploys and commands ask. None of it looks up a secret, but for `desired` and
    # `files`.

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        """Yield the keys of the fleet file that give the host a part in this role."""
        yield from ()

    def services(self, plan: HostPlan, observed: Observation) -> Sequence[Installed]:
        """Return the role's services on the host: names, users, ports and how to ask them."""
        return ()

    def desired(
        self, plan: HostPlan, observed: Observation
    ) -> Iterable[tuple[str, Callable[[], Service]]]:
        """Return each service by its name, with what renders the generation that it should run."""
        return ()

    def files(self, plan: HostPlan, observed: Observation) -> Iterator[tuple[str, str]]:
        """Yield path and text of every file that the host will get; programs are left out."""
        for _, render in self.desired(plan, observed):
            service = render()
            for member in service.members():
                if not member.name.endswith(".py"):
                    yield f"{service.directory}/current/{member.name}", member.content.decode()

    def driver_problems(self, plan: HostPlan, release: str) -> Iterable[Problem]:
        """Return why NVIDIA's driver of this release is too old for what the host runs."""
        return ()

    def kept_state(self) -> Mapping[str, str]:
        """Return the directories that stay on a host that leaves the fleet, each with the option
        that removes it: they took hours to download, or cannot be had again."""
        return {}
