"""The change of a role in one ring: not before the rings ahead are proved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mirrorfleet.jobs.rings import progress
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.rollout import RolloutPlan
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import skip
from mirrorfleet.runtime.role import Role, Step


class OfRing(Role):
    """A role on the hosts of one ring. ``ring_of`` is the ring in which it changes on a host."""

    def __init__(self, role: Role, ring: str, ring_of: Callable[[RolloutPlan], str | None]) -> None:
        self.title = f"{role.title}, ring {ring}"
        self.role = role
        self.ring = ring
        self.ring_of = ring_of

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        # What left the fleet file has no ring any more: it changes with the last one.
        own = self.ring_of(plan.rollout) if plan.rollout else None
        if (own or progress.rings()[-1]) != self.ring:
            return ()
        steps, held = self.role.apply(plan, observed), self.role.held(plan, observed)
        return (
            *(replace(step, commands=self._unless_held(step)) for step in steps),
            *(replace(step, commands=self._if_held(step)) for step in held),
        )

    def _unless_held(self, step: Step) -> Callable[[HostPlan, Observation], Commands]:
        def commands(plan: HostPlan, observed: Observation) -> Commands:
            if run.state().is_executing and (reason := progress.blocked(self.ring)):
                _report(plan, self.ring, *reason)
                return
            yield from step.commands(plan, observed)

        return commands

    def _if_held(self, step: Step) -> Callable[[HostPlan, Observation], Commands]:
        def commands(plan: HostPlan, observed: Observation) -> Commands:
            if not run.state().is_executing or progress.blocked(self.ring):
                yield from step.commands(plan, observed)

        return commands


def _report(plan: HostPlan, ring: str, cause: str, fix: str) -> None:
    """Report once that a host keeps its state."""
    problem = skip(
        f"ring '{ring}' stays as it is, because {cause}.",
        f"{fix.rstrip('.')}, then run again.",
        part="gateway" if plan.gateway else None,
    )
    skipped.skip(run.host(), problem)
