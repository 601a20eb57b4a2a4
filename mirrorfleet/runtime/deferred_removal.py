"""Removal from a host happens last: after all hosts that could depend on what is removed."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra.api import Host
from pyinfra.api.command import PyinfraCommand

from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.commands import Commands, failing
from mirrorfleet.runtime.intermittent import is_offline
from mirrorfleet.runtime.rollout import has_services


def after_dependents(commands: Iterable[PyinfraCommand]) -> Commands:
    """Yield the commands only if every host that could depend on what is removed took part.

    A run without some of these hosts, or with a ring that went back, removes nothing. If one of
    them has failed, the run removes nothing either and reports this host as failed: a generation
    that was rolled back may still need what would have been removed.
    """
    if absent_hosts() or run.current().progress.failed_ring:
        return
    for command in commands:
        if failed := [host.name for host in run.hosts() if _has_failed(host)]:
            yield failing(f"skipped because {failed[0]} failed")
            return
        yield command


def absent_hosts() -> list[str]:
    """Return the names of servers and clients that do not take part in this run."""
    return [host.name for host in left_out()]


def left_out() -> list[Host]:
    """Return the servers and clients that do not take part in this run."""
    return [host for host in run.hosts() if _can_depend(run.plan_of(host)) and _is_left_out(host)]


def _is_left_out(host: Host) -> bool:
    """Return whether a host is not in the run, or is an unreachable or skipped server.

    A developer's machine that is switched off delays nothing: a later run changes it.
    """
    state, plan = run.state(), run.plan_of(host)
    if not state.is_host_in_limit(host) or skipped.is_skipped(plan, "gateway"):
        return True
    return has_services(plan) and (
        host not in state.activated_hosts or is_offline(host) or skipped.is_skipped(plan, "engines")
    )


def _has_failed(host: Host) -> bool:
    state = run.state()
    return (
        has_services(run.plan_of(host))
        and host in state.failed_hosts
        and host in state.activated_hosts
    )


def _can_depend(plan: HostPlan) -> bool:
    """Return whether the host may use what is removed, or replace it."""
    return has_services(plan) or bool(plan.clients)
