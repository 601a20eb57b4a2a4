"""What is removed from a host goes last: once nothing that takes part in the run depends on it."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra.api import Host
from pyinfra.api.command import PyinfraCommand

from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.commands import Commands, failing
from mirrorfleet.runtime.rollout import serves


def last(commands: Iterable[PyinfraCommand]) -> Commands:
    """Yield the commands once all hosts that could depend on what is removed took part.

    In a run without some of these hosts, nothing is removed. If one of them has failed, nothing is
    removed either, and this host is reported as failed: a generation that was rolled back may still
    need what would have gone.
    """
    if absent():
        return
    for command in commands:
        if failed := [each.name for each in run.hosts() if _failed(each)]:
            yield failing(f"skipped because {failed[0]} failed")
            return
        yield command


def absent() -> list[str]:
    """Return the names of servers and clients that do not take part in this run."""
    return [each.name for each in left_out()]


def left_out() -> list[Host]:
    """Return the servers and clients that do not take part in this run."""
    return [each for each in run.hosts() if _counts(run.plan_of(each)) and _left_out(each)]


def _left_out(each: Host) -> bool:
    """Is a host not among those of the run, or a server that is unreachable or skipped?

    A developer's machine that is switched off delays nothing: it changes when it is on again.
    """
    state, plan = run.state(), run.plan_of(each)
    if not state.is_host_in_limit(each) or skipped.skips(plan, "gateway"):
        return True
    return serves(plan) and (each not in state.activated_hosts or skipped.skips(plan, "engines"))


def _failed(each: Host) -> bool:
    state = run.state()
    return (
        serves(run.plan_of(each)) and each in state.failed_hosts and each in state.activated_hosts
    )


def _counts(plan: HostPlan) -> bool:
    """Does the host use what is removed, or replace it?"""
    return serves(plan) or bool(plan.clients)
