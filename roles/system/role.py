"""The system of a host with services: systemd, apt, a correct clock, resolvable addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mirrorfleet.config.addresses import is_ip, is_loopback
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.system.facts import Addresses, Clock, Leftovers
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Exists, Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import STATE
from mirrorfleet.runtime.problems import error, skipping
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.rollout import has_shared_services
from mirrorfleet.runtime.shell import shell

SYSTEMD, APT = "/run/systemd/system", "/usr/bin/apt-get"
"""Paths that exist if systemd is process 1, and if apt installs packages."""

SWEEP = Path(__file__).parent / "files" / "sweep.sh"

ARCHITECTURES = ("x86_64", "aarch64")

MAX_SKEW = 60
"""The most seconds by which clocks may differ: certificates and keys depend on the time."""


class System(Role):
    """Checks the system of a host with services, and removes what killed runs left on any host."""

    title = "System"

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        left = Leftovers()
        if not plan.services:
            return [left]
        names = [Addresses(name) for name in _names(plan)]
        return [left, Exists(SYSTEMD), Exists(APT), Clock(), *names]

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        if plan.services:
            found = _problems(plan, observed)
            yield from found if has_shared_services(plan) else skipping("engines", found)

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if left := observed[Leftovers()]:
            names = ", ".join(sorted(left))
            yield Change(f"{STATE}: files of an interrupted run will be removed: {names}")

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (Step("files of interrupted runs", sweep),)


def sweep(plan: HostPlan, observed: Observation) -> Commands:
    """Remove the files of killed runs."""
    if observed[Leftovers()]:
        yield script(shell(SWEEP))


def _problems(plan: HostPlan, observed: Observation) -> Iterator[Problem]:
    machine = observed.machine
    if machine.architecture not in ARCHITECTURES:
        known = " and ".join(ARCHITECTURES)
        yield error(
            f"the architecture is {machine.architecture}; services need {known}.",
            "Use another host.",
        )
    for path, difference in ((SYSTEMD, "does not run systemd"), (APT, "does not have apt")):
        if not observed[Exists(path)]:
            yield error(
                f"the system, {machine.system} {machine.release}, {difference}; services need "
                "systemd and apt.",
                "Use a host with Debian or Ubuntu.",
            )
    for name in _names(plan):
        first = next(iter(observed[Addresses(name)]), "")
        if not first or is_loopback(first):
            yield error(
                f"services listen on {name}, which this host resolves to {first or 'no address'}: "
                "no other host could reach them.",
                "Correct /etc/hosts, or set an address instead of the name (127.0.0.1 if no other "
                "host needs the services).",
            )
    seconds = ahead(observed)
    if abs(seconds) > MAX_SKEW:
        way = "ahead of" if seconds > 0 else "behind"
        yield error(
            f"the clock is {abs(seconds):.0f} seconds {way} this machine's, and "
            "certificates depend on it.",
            "Correct the wrong clock: timedatectl set-ntp true.",
        )


def ahead(observed: Observation) -> float:
    """Return by how many seconds the host's clock is ahead of this machine's.

    0 if the duration of the observation may explain the difference.
    """
    now = observed[Clock()]
    if now is None:
        return 0.0
    began, ended = observed.during
    return max(0.0, now - ended) + min(0.0, now + 1 - began)


def _names(plan: HostPlan) -> list[str]:
    """Return the names on which the host's services listen, which the host itself resolves."""
    addresses = {service.listen for service in plan.services}
    return sorted(
        address for address in addresses if not is_ip(address) and not is_loopback(address)
    )
