"""What LiteLLM runs from: an environment of its lock file, or a container image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan, LitellmPlan
from mirrorfleet.roles.litellm import container
from mirrorfleet.runtime import python
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.report import Change

LOCKS = Path(__file__).parent / "locks"
ENVIRONMENTS = f"{ROOT}/litellm/environments"

PACKAGES = ("python3", "curl")
"""What our own programs on a gateway need, whatever LiteLLM runs from."""

SIZE = 700 * 10**6
"""Bytes of an environment at the least: 1.106.2 takes 0.77 GB."""


def environment(gateway: LitellmPlan) -> python.Environment:
    """Return the gateway's Python environment. Raises ``DeployError`` when none is locked."""
    lock = LOCKS / f"{gateway.version}.txt"
    if not lock.exists():
        known = ", ".join(sorted(path.stem for path in LOCKS.glob("*.txt")))
        raise DeployError(f"no lock file pins LiteLLM {gateway.version}. Pinned are: {known}.")
    return python.Environment("litellm", lock, size=SIZE)


def packages(gateway: LitellmPlan, seen: Observation) -> tuple[str, ...]:
    """Return the system packages that the host must have."""
    return (*PACKAGES, *(container.packages(seen) if gateway.image else ()))


def questions(gateway: LitellmPlan) -> list[Question]:
    """What must be known of the host's software."""
    common: list[Question] = [python.QUESTION, *(("package", name) for name in PACKAGES)]
    if gateway.image:
        return [*common, *container.questions(gateway.image)]
    return [*common, ("disk", ROOT), environment(gateway).question]


def problems(gateway: LitellmPlan, seen: Observation) -> Iterator[Problem]:
    """Yield why the host cannot have the software."""
    yield from python.problems(seen, [] if gateway.image else [environment(gateway)])
    if gateway.image:
        yield from container.problems(gateway.image, seen)


def changes(gateway: LitellmPlan, seen: Observation) -> Iterator[Change]:
    """Yield what the host will be given of it."""
    if gateway.image:
        yield from container.changes(gateway.image, seen)
    else:
        yield from python.changes(environment(gateway), seen)


def fetch(gateway: LitellmPlan, plan: HostPlan, seen: Observation) -> None:
    """Bring it to this machine, if it is to be sent."""
    if gateway.image:
        container.fetch(gateway.image, seen)
    else:
        python.fetch(environment(gateway), plan, seen)


def install(gateway: LitellmPlan, plan: HostPlan, seen: Observation) -> Commands:
    """Bring it to the host, if that lacks it."""
    if gateway.image:
        yield from container.install(gateway.image, seen)
    else:
        yield from python.install(environment(gateway), plan, seen)
