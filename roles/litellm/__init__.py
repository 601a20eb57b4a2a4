"""LiteLLM on a gateway: its environment, its configuration in generations, one service."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from pyinfra.api import State, deploy
from pyinfra.context import ctx_state

from mirrorfleet import runtime
from mirrorfleet.planning import HostPlan, LitellmPlan
from mirrorfleet.roles.litellm import keys, needs, references, render, software
from mirrorfleet.runtime import (
    cli_options,
    drift,
    generations,
    python,
    service,
    service_removal,
    undone,
)
from mirrorfleet.runtime.commands import Commands, operation
from mirrorfleet.runtime.observe import Observation, Question, once
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.rollout import backs_gateways, behind, in_turn
from mirrorfleet.runtime.secrets import reveal


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a gateway, or of a host that was one."""
    former = service_removal.question(render.NAME)
    if plan.gateway is None:
        return [former]
    return [
        former,
        *software.questions(plan.gateway),
        *service.questions(render.NAME, render.USER, plan.gateway.port),
        *keys.questions(),
        *([("port", str(plan.gateway.metrics_port))] if plan.gateway.metrics_port else []),
    ]


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """Why the gateway cannot run on this host."""
    if plan.gateway is None:
        return []
    wanted = service_of(plan.gateway, seen)
    metrics = plan.gateway.metrics_port
    return [
        *software.refusals(plan.gateway, seen),
        *service.refusals(wanted, seen),
        *(service.taken(metrics, wanted.unit_name, seen) if metrics else ()),
        *keys.refusals(plan.gateway),
        *_moved(wanted, seen),
    ]


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be changed on a gateway, one by one."""
    if plan.gateway is None:
        yield from service_removal.changes(_departed(plan, seen))
        return
    yield from runtime.lacks(seen, software.packages(plan.gateway, seen), render.USER)
    yield from software.changes(plan.gateway, seen)
    yield from keys.changes(plan.gateway, seen)
    if why := _waits(plan, seen):
        yield Change(f"litellm {why}")
    else:
        yield from drift.changes(service_of(plan.gateway, seen), seen)


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Bring to this machine what the host will be sent."""
    if plan.gateway is not None:
        software.fetch(plan.gateway, plan, seen)


@deploy("LiteLLM")
def admit() -> None:
    """Have the gateway, if this host is one, know whose keys count."""
    gateway = runtime.plan().gateway
    if not gateway:
        return
    runtime.ensure_packages(*software.packages(gateway, runtime.seen()))
    runtime.ensure_user(render.USER)
    let_in(name="keys of developers")


@deploy("LiteLLM")
def serve() -> None:
    """Make this host a gateway, if it is to be one. Its keys are there already: ``admit``."""
    gateway = runtime.plan().gateway
    if not gateway or _waits(runtime.plan(), runtime.seen()):
        return
    install(name="image, by its digest" if gateway.image else "Python environment, hash-locked")
    place(name="new generation, beside the running one")
    # One gateway after the other: while one restarts, the others serve.
    switch(name="switch, restart, wait until it serves", _serial=True)


@deploy("LiteLLM")
def leave() -> None:
    """Take the gateway off this host, if it has left the fleet file."""
    stop(name="gateway that has left the fleet file")


def retire(taken: Callable[[], Collection[str]]) -> None:
    """End the keys that the machines of this run had until now. ``taken`` gives those."""
    if runtime.plan().gateway:
        end(taken, name="former keys go, and open nothing")


@operation
def let_in() -> Commands:
    """Let in whose keys are wanted, and no others but the former ones of those who stay."""
    if gateway := runtime.plan().gateway:
        yield from keys.admit(gateway, runtime.seen())


@operation
def end(taken: Callable[[], Collection[str]]) -> Commands:
    """Take away the former keys, and ask with those that must be dead."""
    if gateway := runtime.plan().gateway:
        address = render.probed(gateway.listen)
        yield from keys.retire(gateway, runtime.seen(), address, taken)


@operation
def install() -> Commands:
    """Bring what LiteLLM runs from, if the host lacks it."""
    if gateway := runtime.plan().gateway:
        yield from software.install(gateway, runtime.plan(), runtime.seen())


@operation
def place() -> Commands:
    """Put a changed generation on the host; what runs is not touched."""
    if gateway := runtime.plan().gateway:
        yield from generations.place(service_of(gateway, runtime.seen()), runtime.seen())


@operation
def switch() -> Commands:
    """Switch to a changed generation. A gateway that fails, at this or before, stops those after
    it; an engine that failed, those that newly need it."""
    gateway = runtime.plan().gateway
    if gateway and not _waits(runtime.plan(), runtime.seen()):
        commands = generations.switch(service_of(gateway, runtime.seen()), runtime.seen())
        yield from behind(backs_gateways, in_turn(commands), ahead=lambda plan: plan.gateway)


@operation
def stop() -> Commands:
    """Stop the gateway, which finishes its turns, and remove it. Its environment stays."""
    yield from service_removal.remove(_departed(runtime.plan(), runtime.seen()))


def _departed(plan: HostPlan, seen: Observation) -> list[str]:
    return service_removal.departed(render.NAME, [render.NAME] if plan.gateway else [], seen)


def _waits(plan: HostPlan, seen: Observation) -> str:
    """Return why the gateway keeps its running generation, if it does, and remember it."""
    this = undone.host_of(plan)
    if not plan.gateway or this is None:
        return ""
    wanted = service_of(plan.gateway, seen)
    if generations.is_switched(wanted, seen):
        return ""
    if why := needs.waits(this, wanted):
        undone.skip(this, why, "gateway")
    return why


def unavailable() -> needs.Unavailable:
    """Return what the gateways of this run cannot newly give to developers."""
    if not needs.troubled():
        return needs.Unavailable(frozenset(), frozenset())
    run: State = ctx_state.get()  # type: ignore[no-untyped-call]
    gateways = {
        each: service_of(each.data.plan.gateway, each.data.seen)
        for each in run.inventory
        if each.data.plan.gateway and each.data.get("seen")
    }
    down = {name for each in gateways for name in needs.down(each.data.plan.gateway)}
    return needs.Unavailable(needs.lost(gateways), down)


def _moved(wanted: service.Service, seen: Observation) -> Iterator[str]:
    """Yield that the database is another one than the gateway has now."""
    if drift.is_another(wanted, render.PLACE, seen) and cli_options.said("database") != "moved":
        yield (
            "has its keys in a database at another host, port or name than the fleet file leads "
            "to, which knows none of them. Take them along (`mirrorfleet docs database`, Move the "
            "database); then, or where it is the same one, run once with --data database=moved."
        )


@once
def service_of(gateway: LitellmPlan, seen: Observation) -> service.Service:
    secrets = {secret: reveal(secret) for secret in references.secrets(gateway)}
    directory = python.standing(software.environment(gateway), seen).directory
    return render.service(gateway, directory, secrets, seen)
