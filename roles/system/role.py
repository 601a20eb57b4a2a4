"""What every host with services needs of its system: systemd, apt, a right clock, addresses."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config.addresses import is_ip, is_loopback
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.observe import Observation, Question
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

    def questions(self, plan: HostPlan) -> list[Question]:
        if not _serves(plan):
            return []
        names = [("name", name) for name in _names(plan)]
        return [("path", SYSTEMD), ("path", APT), ("clock", "utc"), *names]

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        if _serves(plan):
            found = _problems(plan, observed)
            yield from found if answers_others(plan) else skipping("engines", found)


def _problems(plan: HostPlan, observed: Observation) -> Iterator[Problem]:
    if observed.architecture not in ARCHITECTURES:
        known = " and ".join(ARCHITECTURES)
        yield error(
            f"the processor is {observed.architecture}; services run on {known}.",
            "Choose another host.",
        )
    for path, difference in ((SYSTEMD, "is not run by systemd"), (APT, "has no apt")):
        if path not in observed.paths:
            yield error(
                f"the system, {observed.system} {observed.release}, {difference}; services run on "
                "Debian, Ubuntu and their derivatives.",
                "Choose another host.",
            )
    for name in _names(plan):
        [first, *_] = [*observed.names.get(name, "").split(), ""]
        if not first or is_loopback(first):
            yield error(
                f"services listen on {name}, which this host resolves to {first or 'no address'}: "
                "no other host would reach them.",
                "Correct /etc/hosts, or set an address instead of the name: 127.0.0.1, if no other "
                "host needs them.",
            )
    if abs(observed.ahead) > LATE:
        way = "ahead of" if observed.ahead > 0 else "behind"
        yield error(
            f"the clock is {abs(observed.ahead):.0f} seconds {way} this machine's, and "
            "certificates depend on it.",
            "Set the one that is wrong: timedatectl set-ntp true.",
        )


def _serves(plan: HostPlan) -> bool:
    return bool(_listens(plan))


def _listens(plan: HostPlan) -> set[str]:
    """Return where the host's services are told to listen."""
    said = (*plan.engines, plan.redis, plan.postgres, plan.gateway, plan.load_balancer)
    return {each.listen for each in said if each}


def _names(plan: HostPlan) -> list[str]:
    """Return those of them that are names, which each host looks up for itself."""
    return sorted(each for each in _listens(plan) if not is_ip(each) and not is_loopback(each))
