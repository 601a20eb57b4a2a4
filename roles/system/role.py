"""What every host with services needs of its system: systemd, apt, a right clock, addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.config.addresses import is_ip, is_loopback
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.system.facts import Addresses, Clock
from mirrorfleet.runtime.facts import Exists, Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error, skipping
from mirrorfleet.runtime.role import Role
from mirrorfleet.runtime.rollout import answers_others

SYSTEMD, APT = "/run/systemd/system", "/usr/bin/apt-get"
"""What is there where systemd is process 1, and where packages come by apt."""

ARCHITECTURES = ("x86_64", "aarch64")

LATE = 60
"""Seconds by which clocks may differ: certificates and keys are judged by them."""


class System(Role):
    """The checks of a host with services. It changes nothing."""

    title = "System"

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        if not _serves(plan):
            return []
        names = [Addresses(name) for name in _names(plan)]
        return [Exists(SYSTEMD), Exists(APT), Clock(), *names]

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        if _serves(plan):
            found = _problems(plan, observed)
            yield from found if answers_others(plan) else skipping("engines", found)


def _problems(plan: HostPlan, observed: Observation) -> Iterator[Problem]:
    machine = observed.machine
    if machine.architecture not in ARCHITECTURES:
        known = " and ".join(ARCHITECTURES)
        yield error(
            f"the processor is {machine.architecture}; services run on {known}.",
            "Choose another host.",
        )
    for path, difference in ((SYSTEMD, "is not run by systemd"), (APT, "has no apt")):
        if not observed[Exists(path)]:
            yield error(
                f"the system, {machine.system} {machine.release}, {difference}; services run on "
                "Debian, Ubuntu and their derivatives.",
                "Choose another host.",
            )
    for name in _names(plan):
        first = next(iter(observed[Addresses(name)]), "")
        if not first or is_loopback(first):
            yield error(
                f"services listen on {name}, which this host resolves to {first or 'no address'}: "
                "no other host would reach them.",
                "Correct /etc/hosts, or set an address instead of the name: 127.0.0.1, if no other "
                "host needs them.",
            )
    seconds = ahead(observed)
    if abs(seconds) > LATE:
        way = "ahead of" if seconds > 0 else "behind"
        yield error(
            f"the clock is {abs(seconds):.0f} seconds {way} this machine's, and "
            "certificates depend on it.",
            "Set the one that is wrong: timedatectl set-ntp true.",
        )


def ahead(observed: Observation) -> float:
    """Return by how many seconds the host's clock is ahead of this machine's.

    0 where the time between the question and the answer may explain it.
    """
    now = observed[Clock()]
    if now is None:
        return 0.0
    began, ended = observed.during
    return max(0.0, now - ended) + min(0.0, now + 1 - began)


def _serves(plan: HostPlan) -> bool:
    return bool(_listens(plan))


def _listens(plan: HostPlan) -> set[str]:
    """Return where the host's services are told to listen."""
    said = (*plan.engines, plan.redis, plan.postgres, plan.gateway, plan.load_balancer)
    return {each.listen for each in said if each}


def _names(plan: HostPlan) -> list[str]:
    """Return those of them that are names, which each host looks up for itself."""
    return sorted(each for each in _listens(plan) if not is_ip(each) and not is_loopback(each))
