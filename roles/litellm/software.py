"""What LiteLLM runs from: an environment of its lock file, or a container image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan, LitellmPlan
from mirrorfleet.roles.litellm import container
from mirrorfleet.runtime import python
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Disk, Fact
from mirrorfleet.runtime.facts.python import Python
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.report import Change

ENVIRONMENTS = f"{ROOT}/litellm/environments"

PACKAGES = ("python3", "curl")
"""What our own programs on a gateway need, whatever LiteLLM runs from."""

SIZE = 700 * 10**6
"""Bytes of an environment at the least: 1.106.2 takes 0.77 GB."""


def environment(gateway: LitellmPlan) -> python.Environment:
    """Return the gateway's Python environment."""
    return python.Environment("litellm", gateway.lock, size=SIZE)


def directory(gateway: LitellmPlan, observed: Observation) -> str:
    """Return where the gateway's Python environment is, or will be; "" for one with an image."""
    return "" if gateway.image else python.standing(environment(gateway), observed).directory


def packages(gateway: LitellmPlan, observed: Observation) -> tuple[str, ...]:
    """Return the system packages that the host must have."""
    return (*PACKAGES, *(container.packages(observed) if gateway.image else ()))


def facts(gateway: LitellmPlan) -> list[Fact[Any]]:
    """What must be known of the host's software."""
    if gateway.image:
        return [Python(), *container.facts(gateway.image)]
    return [Disk(ROOT), *environment(gateway).facts]


def problems(gateway: LitellmPlan, observed: Observation) -> Iterator[Problem]:
    """Yield why the host cannot have the software."""
    yield from python.problems(observed, [] if gateway.image else [environment(gateway)])
    if gateway.image:
        yield from container.problems(gateway.image, observed)


def changes(gateway: LitellmPlan, observed: Observation) -> Iterator[Change]:
    """Yield what the host will be given of it."""
    if gateway.image:
        yield from container.changes(gateway.image, observed)
    else:
        yield from python.changes(environment(gateway), observed)


def fetch(gateway: LitellmPlan, plan: HostPlan, observed: Observation) -> None:
    """Bring it to this machine, if it is to be sent."""
    if gateway.image:
        container.fetch(gateway.image, observed)
    else:
        python.fetch(environment(gateway), plan, observed)


def install(gateway: LitellmPlan, plan: HostPlan, observed: Observation) -> Commands:
    """Bring it to the host, if that lacks it."""
    if gateway.image:
        yield from container.install(gateway.image, observed)
    else:
        yield from python.install(environment(gateway), plan, observed)
