"""The front door of the gateways: HAProxy from the distribution, reloaded and never cut off."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api import deploy
from pyinfra.api.exceptions import DeployError

from mirrorfleet import runtime
from mirrorfleet.config import reading
from mirrorfleet.planning import HostPlan, LoadBalancerPlan
from mirrorfleet.roles.front import render
from mirrorfleet.runtime import drift, generations, service, service_removal
from mirrorfleet.runtime.commands import Commands, operation, script
from mirrorfleet.runtime.observe import Observation, Question, once
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.rollout import in_turn
from mirrorfleet.runtime.secrets import reveal_text

PACKAGES = ("haproxy", "socat", "curl", "python3")


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a host with a front door, or of one that had it."""
    former = service_removal.question(render.NAME)
    if plan.load_balancer is None:
        return [former]
    return [
        former,
        *(("package", name) for name in PACKAGES),
        *(
            [("path", plan.load_balancer.certificate_path)]
            if plan.load_balancer.certificate_path
            else []
        ),
        *service.questions(render.NAME, render.USER, plan.load_balancer.port),
    ]


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """Why there can be no front door on this host."""
    if plan.load_balancer is None:
        return []
    path = plan.load_balancer.certificate_path
    if path and path not in seen.paths:
        return [f"has no {path}, the certificate of the front door. Put it there, or push one."]
    try:
        return service.refusals(service_of(plan.load_balancer, seen), seen)
    except DeployError as error:
        return [str(error)]


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be changed about a front door, one by one."""
    if plan.load_balancer is not None:
        yield from runtime.lacks(seen, PACKAGES, render.USER)
        yield from drift.changes(service_of(plan.load_balancer, seen), seen)
    yield from service_removal.changes(_departed(plan, seen))


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Nothing: HAProxy is the distribution's."""


@deploy("Front door")
def serve() -> None:
    """Give this host a front door, if it is to have one."""
    if not runtime.plan().load_balancer:
        return
    runtime.ensure_packages(*PACKAGES)
    leave_alone(name="the distribution's own haproxy.service, not needed")
    runtime.ensure_user(render.USER)
    place(name="new generation, beside the running one")
    # One after the other: the first shows whether the change is good.
    switch(name="switch, reload, wait until it serves", _serial=True)


@deploy("Front door")
def leave() -> None:
    """Take the front door off this host, if it has left the fleet file."""
    stop(name="front door that has left the fleet file")


@operation
def leave_alone() -> Commands:
    """Stop what the package starts when it is installed; one that was there before is not ours."""
    if runtime.plan().load_balancer and "haproxy" not in runtime.seen().packages:
        yield script("systemctl --quiet disable --now haproxy.service\n")


@operation
def place() -> Commands:
    """Put a changed generation on the host, checked by HAProxy; what runs is not touched."""
    if front := runtime.plan().load_balancer:
        yield from generations.place(service_of(front, runtime.seen()), runtime.seen())


@operation
def switch() -> Commands:
    """Switch to a changed generation: streams end where they began, new turns come to the new."""
    if front := runtime.plan().load_balancer:
        yield from in_turn(generations.switch(service_of(front, runtime.seen()), runtime.seen()))


@operation
def stop() -> Commands:
    """Stop and remove the front door, its certificate's key among what goes."""
    yield from service_removal.remove(_departed(runtime.plan(), runtime.seen()))


def _departed(plan: HostPlan, seen: Observation) -> list[str]:
    return service_removal.departed(render.NAME, [render.NAME] if plan.load_balancer else [], seen)


@once
def service_of(front: LoadBalancerPlan, seen: Observation) -> service.Service:
    if front.certificate is None:
        return render.service(front, None)
    try:
        certificate = reading.text(front.certificate)
    except reading.Unreadable as error:
        raise DeployError(f"cannot be given {front.certificate}: {error.told}") from None
    if "-----BEGIN CERTIFICATE-----" not in certificate:
        raise DeployError(f"cannot be given {front.certificate}: it holds no certificate in PEM.")
    assert front.key, "the check wants a key for a certificate that is pushed"
    return render.service(front, f"{certificate.strip()}\n{reveal_text(front.key)}\n")
