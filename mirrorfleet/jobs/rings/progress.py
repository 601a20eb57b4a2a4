"""The rings of one run: what they have to prove, which are proved, and what holds the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyinfra.api import Host

from mirrorfleet.jobs.rings import record, state
from mirrorfleet.jobs.rings.record import Record
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.rollout import RolloutPlan
from mirrorfleet.roles.claude import user_settings
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.applied import applied
from mirrorfleet.runtime.observe import Observation


@dataclass(frozen=True)
class Verdict:
    """The result of a ring. ``proof`` is what was found if it is proved, else ``None``.

    ``host`` asked, as ``asked`` names it with its developer; both are "" if nothing could ask.
    """

    proof: record.Proof | None
    host: str = ""
    asked: str = ""
    cause: str = ""
    fix: str = ""


def this_run(now: str) -> record.Run:
    """Return the present run, for a record."""
    found = applied()
    return record.Run(now, found.by, found.revision, found.release)


def rings() -> tuple[str, ...]:
    """Return the names of all rings in their order; none for a fleet without rings."""

    def find() -> tuple[str, ...]:
        plans = (run.plan_of(host).rollout for host in run.hosts())
        return next((plan.rings for plan in plans if plan), ())

    return run.current().once(rings, find)


def verdicts() -> dict[str, Verdict]:
    """Return the results of the rings so far, to read and to add to."""
    return run.current().once(verdicts, dict)


def observed_record(observed: Observation) -> Record:
    """Return the record that an observed host has."""
    return record.read(observed[record.FACT])


def is_unproved(plan: HostPlan, observed: Observation) -> bool:
    """Return whether the host's desired state was not proved. Raises ``DeployError``."""
    if plan.rollout is None or not plan.rollout.present:
        return False
    return observed_record(observed).state != state.identity(plan, observed)


def members(ring: str) -> Iterator[tuple[Host, RolloutPlan]]:
    """Yield the hosts with something in a ring that take part in the run, reached or not."""
    pyinfra = run.state()
    for host in run.hosts():
        plan = run.plan_of(host).rollout
        if plan and ring in plan.present and pyinfra.is_host_in_limit(host):
            yield host, plan


def reached(ring: str) -> list[Host]:
    """Return the members of a ring that were observed."""
    return [host for host, _ in members(ring) if run.observed_on(host)]


def is_due(ring: str) -> bool:
    """Return whether a ring has a host whose desired state was not proved."""

    def find() -> bool:
        hosts = ((host, run.observed_on(host)) for host in reached(ring))
        return any(is_unproved(run.plan_of(host), found) for host, found in hosts if found)

    return run.current().once((is_due, ring), find)


def machines(ring: str) -> list[Host]:
    """Return the developers' machines of a ring that can ask: reached, not skipped, not failed."""
    return [
        host
        for host, plan in members(ring)
        if plan.clients == ring and host not in run.state().failed_hosts and askers(host)
    ]


def askers(host: Host) -> list[str]:
    """Return the users of a machine whose settings this run can write."""
    plan, observed = run.plan_of(host), run.observed_on(host)
    if observed is None or plan.clients is None or skipped.is_skipped(plan, "clients"):
        return []
    missed = skipped.homes(plan)
    return [
        client.user
        for client in plan.clients.users
        if client.user not in missed and not any(user_settings.problems(client, observed))
    ]


def failed_service(ring: str) -> str:
    """Return the first gateway or load balancer of a ring that has failed in this run, or ""."""
    failed = run.state().failed_hosts
    return next(
        (
            host.name
            for host, plan in members(ring)
            if ring in (plan.gateway, plan.load_balancer)
            and host in failed
            and run.observed_on(host)
        ),
        "",
    )


def is_failed(ring: str) -> bool:
    """Return whether a ring was asked for and not proved. Valid after its ask."""
    verdict = verdicts().get(ring)
    return is_due(ring) and (verdict is None or verdict.proof is None)


def why(ring: str) -> tuple[str, str]:
    """Return why a ring failed, and the fix."""
    verdict = verdicts().get(ring)
    if verdict is None and (name := failed_service(ring)):
        return f"ring '{ring}' failed on {name}: its own change failed", f"Fix {name}"
    if verdict is None:
        return f"ring '{ring}' has no machine left that could ask", "Fix its machines"
    where = f" on {verdict.host}" if verdict.host else ""
    return f"ring '{ring}' failed{where}: {verdict.cause.rstrip('.')}", verdict.fix


def went_wrong(ring: str) -> bool:
    """Return whether a ring has begun to change and was not proved, so that it goes back."""
    return is_failed(ring) and blocked(ring) is None


def blocked(ring: str) -> tuple[str, str] | None:
    """Return why a ring must not change, and the fix; ``None`` if it may.

    Decided once, when the ring is the next: a machine may fail later. Before that, nothing is.
    """
    if not run.state().is_executing:
        return None
    reason = run.current().once((blocked, ring), lambda: _blocked(ring))
    if reason:
        run.current().progress.failed_ring = run.current().progress.failed_ring or ring
    return reason


def _blocked(ring: str) -> tuple[str, str] | None:
    if not machines(ring):
        cause = f"no developer's machine of ring '{ring}' is ready, so nothing could ask after it"
        return cause, "Start one"
    before = rings()[: rings().index(ring)]
    for earlier in before:
        if is_failed(earlier):
            return why(earlier)
        if any(True for _ in members(earlier)) and not reached(earlier):
            return f"no machine of ring '{earlier}' answers", "Start one"
    return None
