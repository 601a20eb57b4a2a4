"""What leaves a host goes last: when nobody who could ask for it is left in this run."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra.api import Host, State
from pyinfra.api.command import PyinfraCommand
from pyinfra.context import ctx_state

from mirrorfleet.runtime import undone
from mirrorfleet.runtime.commands import Commands, failing
from mirrorfleet.runtime.rollout import serves


def last(commands: Iterable[PyinfraCommand]) -> Commands:
    """Yield the commands if all that is to ask others by now does, and the others are there.

    In a run that leaves some of them out, nothing leaves. Where one of them has failed, what would
    have left is left as it is and reported as failed: what was rolled back may still need it.
    """
    run: State = ctx_state.get()  # type: ignore[no-untyped-call]
    if absent():
        return
    for command in commands:
        if failed := [each.name for each in run.inventory if _failed(run, each)]:
            yield failing(f"left as it is, because {failed[0]} failed")
            return
        yield command


def absent() -> list[str]:
    """Return the servers and clients that do not take part in this run."""
    return [each.name for each in left_out()]


def left_out() -> list[Host]:
    """Return the hosts of these."""
    run: State = ctx_state.get()  # type: ignore[no-untyped-call]
    return [each for each in run.inventory if _counts(each) and _left_out(run, each)]


def _left_out(run: State, each: Host) -> bool:
    """Is a host not among those of the run, or a server that cannot be reached, or is skipped?

    A developer's machine that is switched off holds up nothing: it will be told when it is on.
    """
    plan = each.data.plan
    if not run.is_host_in_limit(each) or undone.skips(plan, "gateway"):
        return True
    return serves(plan) and (each not in run.activated_hosts or undone.skips(plan, "engines"))


def _failed(run: State, each: Host) -> bool:
    return serves(each.data.plan) and each in run.failed_hosts and each in run.activated_hosts


def _counts(each: Host) -> bool:
    """Does it ask what leaves, or is it to answer in its place?"""
    return serves(each.data.plan) or bool(each.data.plan.clients)
