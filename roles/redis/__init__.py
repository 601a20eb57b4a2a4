"""Redis for the gateways, from the host's distribution: one service of ours beside its package."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api import deploy

from mirrorfleet import runtime
from mirrorfleet.planning import HostPlan, RedisPlan
from mirrorfleet.roles.redis import render
from mirrorfleet.runtime import drift, generations, service, service_removal
from mirrorfleet.runtime.commands import Commands, operation, script
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.shell import call

PACKAGE = "redis-server"
PACKAGES = (PACKAGE, "python3")


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of the host with the gateways' Redis, or of one that had it."""
    former = service_removal.question(render.NAME)
    if plan.redis is None:
        return [former]
    asked = service.questions(render.NAME, render.USER, plan.redis.port)
    return [former, *(("package", name) for name in PACKAGES), *asked]


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """Why Redis cannot run on this host."""
    return service.refusals(service_of(plan.redis), seen) if plan.redis else []


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be changed about a host's Redis, one by one."""
    if plan.redis:
        yield from runtime.lacks(seen, PACKAGES, render.USER)
        yield from drift.changes(service_of(plan.redis), seen)
    yield from service_removal.changes(_departed(plan, seen))


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Nothing is sent but the configuration."""


@deploy("Redis")
def serve() -> None:
    """Make the host serve the gateways' Redis, if it is to."""
    if not runtime.plan().redis:
        return
    mask(name="no server of the package's own")
    runtime.ensure_packages(*PACKAGES)
    runtime.ensure_user(render.USER)
    place(name="new generation, beside the running one")
    switch(name="switch, restart, wait until it answers")


@deploy("Redis")
def leave() -> None:
    """Take the gateways' Redis off this host, if it has left the fleet file."""
    stop(name="server that has left the fleet file")


@operation
def mask() -> Commands:
    """Keep the package from starting its own server when it is installed."""
    if PACKAGE not in runtime.seen().packages:
        # It would be open to every user of the host.
        yield script(call("systemctl", "--quiet", "mask", "redis-server.service"))


@operation
def place() -> Commands:
    """Put a changed generation on the host; what runs is not touched."""
    if redis := runtime.plan().redis:
        yield from generations.place(service_of(redis), runtime.seen())


@operation
def switch() -> Commands:
    """Switch to a changed generation."""
    if redis := runtime.plan().redis:
        yield from generations.switch(service_of(redis), runtime.seen())


@operation
def stop() -> Commands:
    """Stop and remove the server: what it counted, the next one counts anew."""
    yield from service_removal.remove(_departed(runtime.plan(), runtime.seen()))


def _departed(plan: HostPlan, seen: Observation) -> list[str]:
    return service_removal.departed(render.NAME, [render.NAME] if plan.redis else [], seen)


def service_of(redis: RedisPlan) -> service.Service:
    return render.service(redis, reveal(redis.password))
