"""Rings: gateways and developers' machines change ring by ring, and each ring is asked and proved.

The deploy calls `in_rings`, which puts the roles in the order of the rings. `turn.py` holds a role
until its ring may change, `ask.py` runs the client, `outcome.py` records the proof or goes back.
`progress.py` has the state of the run, `record.py` is what stays on the hosts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mirrorfleet.jobs.rings import progress
from mirrorfleet.jobs.rings.outcome import Keep, Prove
from mirrorfleet.jobs.rings.turn import OfRing
from mirrorfleet.planning.rollout import RolloutPlan
from mirrorfleet.roles.claude.role import Claude
from mirrorfleet.roles.litellm.role import Litellm
from mirrorfleet.roles.load_balancer.role import LoadBalancer
from mirrorfleet.runtime.role import Role

RINGED: dict[type[Role], Callable[[RolloutPlan], str | None]] = {
    Litellm: lambda plan: plan.gateway,
    LoadBalancer: lambda plan: plan.load_balancer,
    Claude: lambda plan: plan.clients,
}
"""The roles that change ring by ring, and which ring of a host is theirs."""


def in_rings(roles: Sequence[Role]) -> list[Role]:
    """Return the roles in the order of their steps of `apply`.

    Without rings, they stay as they are. With rings: all roles before the gateways, then gateways,
    load balancers and clients of each ring with its proof, then the other roles.
    """
    rings = progress.rings()
    if not rings:
        return [*roles]
    ringed = [role for role in roles if type(role) in RINGED]
    first = roles.index(ringed[0])
    before = [role for role in roles[:first] if role not in ringed]
    after = [role for role in roles[first:] if role not in ringed]
    return [*before, *(step for ring in rings for step in _ring(ring, ringed)), *after]


def _ring(ring: str, ringed: Sequence[Role]) -> Iterator[Role]:
    yield Keep(ring)
    yield from (OfRing(role, ring, RINGED[type(role)]) for role in ringed)
    yield Prove(ring)
