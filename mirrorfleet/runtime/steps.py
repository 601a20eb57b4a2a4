"""The steps of roles as operations of pyinfra."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import run
from mirrorfleet.runtime.commands import Commands, operation
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.role import Role, Step

Round = Callable[[HostPlan, Observation], Sequence[Step]]
"""A round of a role: its ``authorize``, ``apply``, ``retire`` or ``remove``."""


def in_order(roles: Iterable[Role]) -> Iterator[Role]:
    """Yield the roles for a loop with `take_steps`, in a form that keeps their order.

    pyinfra orders operations by their line in the deploy. In a loop, all have the same line, so
    pyinfra must know the loop to count its iterations.
    """
    yield from run.host().loop(roles)  # type: ignore[no-untyped-call]


def take_steps(role: Role, steps: Round) -> None:
    """Add the steps of one round of a role to the run, for the current host.

    Call it in a loop over ``in_order``: ``take_steps(role, role.apply)``.
    """
    for step in run.host().loop(steps(run.plan(), run.observed())):  # type: ignore[no-untyped-call]
        _take(step, name=f"{role.title} | {step.name}", _serial=step.serial)


@operation
def _take(step: Step) -> Commands:
    yield from step.commands(run.plan(), run.observed())
