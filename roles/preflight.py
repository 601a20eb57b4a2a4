"""Whether a host can be one of servers at all: judged before the first change on any."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.plan import HostPlan
from roles.host.observe import Observation, Question
from roles.host.report import Change

SYSTEMD, APT = "/run/systemd/system", "/usr/bin/apt-get"
"""What is there where systemd is process 1, and where packages come by apt."""

ARCHITECTURES = ("x86_64", "aarch64")

LATE = 60
"""Seconds by which clocks may differ: certificates and keys are judged by them."""


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a host with a service of ours."""
    if not _serves(plan):
        return []
    return [("path", SYSTEMD), ("path", APT), ("clock", "utc")]


def refusals(plan: HostPlan, seen: Observation) -> Iterator[str]:
    """Yield why no service of ours can run on this host."""
    if not _serves(plan):
        return
    if seen.architecture not in ARCHITECTURES:
        known = " and ".join(ARCHITECTURES)
        yield f"is {seen.architecture}; our services run on {known}. Choose another host."
    for path, lacks in ((SYSTEMD, "not run by systemd"), (APT, "without apt")):
        if path not in seen.paths:
            yield (
                f"is {seen.system} {seen.release}, {lacks}; our services run on Debian, Ubuntu and "
                "what is made of them. Choose another host."
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
    return bool(
        plan.engines or plan.ollama or plan.redis or plan.postgres or plan.gateway or plan.front
    )
