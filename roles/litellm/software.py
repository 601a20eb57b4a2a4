"""LiteLLM's software: a Python environment from a lock file, or a container image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan, LitellmPlan
from mirrorfleet.roles.litellm import container
from mirrorfleet.roles.litellm.limits import limits_turns
from mirrorfleet.runtime import python
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Disk, Fact
from mirrorfleet.runtime.facts.python import Python
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.report import Change

ENVIRONMENTS = f"{ROOT}/litellm/environments"

PACKAGES = ("python3", "curl")
"""Packages that Mirrorfleet's programs on a gateway need, with and without a container."""

SIZE = 700 * 10**6
"""Minimum size of an environment in bytes: 1.106.12 takes 0.77 GB."""


def environment(gateway: LitellmPlan) -> python.Environment:
    """Return the gateway's Python environment."""
    return python.Environment("litellm", gateway.lock, size=SIZE)


def directory(gateway: LitellmPlan, observed: Observation) -> str:
    """Return the directory of the gateway's Python environment; "" for one with an image."""
    return "" if gateway.image else python.located(environment(gateway), observed).directory


def packages(gateway: LitellmPlan, observed: Observation) -> tuple[str, ...]:
    """Return the system packages that the host needs."""
    return (
        *PACKAGES,
        # With the first limits, so that a budget in another time zone needs no package later.
        *(("tzdata",) if limits_turns(gateway) else ()),
        *(container.packages(observed) if gateway.image else ()),
    )


def facts(gateway: LitellmPlan) -> list[Fact[Any]]:
    """Return the facts about the host's software."""
    if gateway.image:
        return [Python(), *container.facts(gateway.image)]
    return [Disk(ROOT), *environment(gateway).facts]


def problems(gateway: LitellmPlan, observed: Observation) -> Iterator[Problem]:
    """Yield why the software cannot be installed."""
    yield from python.problems(observed, [] if gateway.image else [environment(gateway)])
    if gateway.image:
        yield from container.problems(gateway.image, observed)


def changes(gateway: LitellmPlan, observed: Observation) -> Iterator[Change]:
    """Yield the changes of the software."""
    if gateway.image:
        yield from container.changes(gateway.image, observed)
    else:
        yield from python.changes(environment(gateway), observed)


def fetch(gateway: LitellmPlan, plan: HostPlan, observed: Observation) -> None:
    """Download the software to this machine, if the host receives it from here."""
    if gateway.image:
        container.fetch(gateway.image, observed)
    else:
        python.fetch(environment(gateway), plan, observed)


def install(gateway: LitellmPlan, plan: HostPlan, observed: Observation) -> Commands:
    """Yield the commands that install the software, if the host does not have it."""
    if gateway.image:
        yield from container.install(gateway.image, observed)
    else:
        yield from python.install(environment(gateway), plan, observed)
