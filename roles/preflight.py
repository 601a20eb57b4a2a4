"""Whether a host can be one of servers at all: judged before the first change on any."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config.addresses import is_ip, is_loopback
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.report import Change, lacking
from mirrorfleet.runtime.rollout import answers_others

SYSTEMD, APT = "/run/systemd/system", "/usr/bin/apt-get"
"""What is there where systemd is process 1, and where packages come by apt."""

ARCHITECTURES = ("x86_64", "aarch64")

LATE = 60
"""Seconds by which clocks may differ: certificates and keys are judged by them."""


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a host with a service of ours."""
    if not _serves(plan):
        return []
    names = [("name", name) for name in _names(plan)]
    return [("path", SYSTEMD), ("path", APT), ("clock", "utc"), *names]


def refusals(plan: HostPlan, seen: Observation) -> Iterator[str]:
    """Yield why no service of ours can run on this host."""
    if _serves(plan):
        whys = _refusals(plan, seen)
        yield from whys if answers_others(plan) else lacking("engines", whys)


def _refusals(plan: HostPlan, seen: Observation) -> Iterator[str]:
    if seen.architecture not in ARCHITECTURES:
        known = " and ".join(ARCHITECTURES)
        yield f"is {seen.architecture}; our services run on {known}. Choose another host."
    for path, lacks in ((SYSTEMD, "not run by systemd"), (APT, "without apt")):
        if path not in seen.paths:
            yield (
                f"is {seen.system} {seen.release}, {lacks}; our services run on Debian, Ubuntu and "
                "what is made of them. Choose another host."
            )
    for name in _names(plan):
        [first, *_] = [*seen.names.get(name, "").split(), ""]
        if not first or is_loopback(first):
            yield (
                f"finds {name} at {first or 'no address'}, and its services are to listen there: "
                "nobody else would reach them. Correct its /etc/hosts, or write an address instead "
                "of the name: 127.0.0.1, if nobody else is to."
            )
    if abs(seen.ahead) > LATE:
        way = "ahead of" if seen.ahead > 0 else "behind"
        yield (
            f"has a clock that is {abs(seen.ahead):.0f} seconds {way} this machine's, and "
            "certificates are judged by it. Set the wrong one of the two: timedatectl set-ntp true."
        )


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """Yield nothing: a look changes nothing."""
    yield from ()


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Bring nothing."""


def _serves(plan: HostPlan) -> bool:
    return bool(_listens(plan))


def _listens(plan: HostPlan) -> set[str]:
    """Return where the host's services are told to listen."""
    said = (*plan.engines, plan.ollama, plan.redis, plan.postgres, plan.gateway, plan.load_balancer)
    return {each.listen for each in said if each}


def _names(plan: HostPlan) -> list[str]:
    """Return those of them that are names, which each host looks up for itself."""
    return sorted(each for each in _listens(plan) if not is_ip(each) and not is_loopback(each))
