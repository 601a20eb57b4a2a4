"""The order of a run: engines, gateways, clients. Where hosts change one after another, one that
fails stops the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from itertools import pairwise, takewhile

import gevent
from pyinfra.api import Host, State
from pyinfra.api.command import PyinfraCommand

from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.commands import Commands, failing
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.run import Progress


class _InOrder(set[Host]):
    """A set that is gone through in the order in which it was given its members."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        super().__init__(hosts)
        self._order = tuple(hosts)

    def __iter__(self) -> Iterator[Host]:
        return (each for each in self._order if each in self)


def keep_order(state: State) -> None:
    """Let a run follow the deploy from top to bottom, and the inventory from first to last.

    Not every host takes part in every operation: left to itself, pyinfra would run the first
    operation of each host, then the second, and a client would change before its gateway. And it
    keeps the hosts that have not failed in a plain set: which gateway were to be the first to try
    a change would be left to chance.
    """
    state.active_hosts = _InOrder([each for each in state.inventory if each in state.active_hosts])
    state.get_op_order = lambda: list(_from_top_to_bottom(state))  # type: ignore[method-assign]


def _from_top_to_bottom(state: State) -> Iterator[str]:
    """Yield the operations, on each host in its own order, of several that can be next the upper.

    This is pyinfra's own order where all hosts take part in all operations.
    """
    graph: TopologicalSorter[str] = TopologicalSorter()
    for each in state.inventory:
        for operation in each.op_hash_order:
            graph.add(operation)
        for operation, following in pairwise(each.op_hash_order):
            graph.add(following, operation)
    graph.prepare()
    ready: list[tuple[tuple[int, ...], str]] = []
    while graph.is_active():
        for operation in graph.get_ready():
            heappush(ready, (state.op_meta[operation].op_order, operation))
        _, upper = heappop(ready)
        yield upper
        graph.done(upper)


def rolling(commands: Commands) -> Commands:
    """Yield the commands, unless a host before this one did not complete its own.

    For steps with ``serial=True``. A host that comes too late is skipped and reported as failed, so
    that the run's exit code and the next run show it.
    """
    state, this, progress = run.state(), run.host(), run.current().progress
    for command in commands:
        failed = progress.unfinished
        if failed is not None and failed is not this:
            yield _skipped_because_of(failed)
            return
        if state.is_executing:
            progress.unfinished = this
        yield command
        progress.unfinished = None


@dataclass(frozen=True)
class Turn:
    """What a host does once the hosts ``ahead`` have completed their turn of the same name."""

    name: str
    ahead: Callable[[], Sequence[Host]]
    commands: Commands


def ordered_rollout(turns: Iterable[Turn]) -> Commands:
    """Yield the commands of each turn, unless a host ahead did not complete its own.

    For steps that hosts take at the same time: unlike with ``serial=True``, hosts that have no turn
    in common do not wait for each other. Hosts ahead come earlier in the inventory, so pyinfra has
    begun with them before, however few it takes at a time; and all hosts take the turns in the same
    order.
    """
    state, this, progress = run.state(), run.host(), run.current().progress
    try:
        for turn in turns:
            for command in turn.commands:
                if failed := _wait(state, progress, turn):
                    yield _skipped_because_of(failed)
                    return
                yield command
            progress.passed.add((turn.name, this))
    finally:
        if state.is_executing:
            progress.ended.add(this)


def due_before(is_due: Callable[[HostPlan, Observation], bool]) -> list[Host]:
    """Return the hosts that come before this one in the inventory and have something to change."""
    this = run.host()
    earlier = takewhile(lambda each: each is not this, run.hosts())
    return [
        each
        for each in earlier
        if (observed := run.observed_on(each)) and is_due(run.plan_of(each), observed)
    ]


def _wait(state: State, progress: Progress, turn: Turn) -> Host | None:
    """Return when the hosts ahead have completed their turn, or the first that did not and will
    not."""
    for host in turn.ahead() if state.is_executing else ():
        while (turn.name, host) not in progress.passed:
            if host in progress.ended or host in state.failed_hosts:
                return host
            gevent.sleep(0.1)
    return None


def has_engines(plan: HostPlan) -> bool:
    """Is it a host that gateways lead to?"""
    return bool(plan.engines)


def backs_gateways(plan: HostPlan) -> bool:
    """Is it a host without which no gateway works: what it counts and stores is there?"""
    return bool(plan.redis or plan.postgres)


def answers_others(plan: HostPlan) -> bool:
    """Is it a host that all developers depend on? An engine is one of several, and a machine of
    developers is theirs alone."""
    return backs_gateways(plan) or plan.gateway is not None or plan.load_balancer is not None


def is_skipped(plan: HostPlan) -> bool:
    """Are the only services of the host engines, and does this run skip them?"""
    return skipped.skips(plan, "engines") and not answers_others(plan)


def serves(plan: HostPlan) -> bool:
    """Is it a host without which developers get no answer, or not the one they should?"""
    return has_engines(plan) or answers_others(plan)


def gated_by(
    first: Callable[[HostPlan], object],
    commands: Commands,
    *,
    ahead: Callable[[HostPlan], object] = lambda _: False,
) -> Commands:
    """Yield the commands, unless a host on which this one depends has failed in this run.

    ``first`` selects such hosts by their plans. ``ahead`` selects hosts that count as such only if
    they come before this one in the inventory.
    """
    this = run.host()
    for command in commands:
        earlier = list(takewhile(lambda each: each is not this, run.hosts()))
        failed = [
            each
            for each in run.hosts()
            if _has_failed(each)
            and (first(run.plan_of(each)) or (each in earlier and ahead(run.plan_of(each))))
        ]
        if failed:
            yield _skipped_because_of(failed[0])
            return
        yield command


def _has_failed(host: Host) -> bool:
    """Has it failed since it was read? A host that could not be reached is reported already."""
    return host in run.state().failed_hosts and run.observed_on(host) is not None


def _skipped_because_of(failed: Host) -> PyinfraCommand:
    """Return a command that changes nothing, and reports its host as failed."""
    reason = f"skipped because {failed.name} failed: fix {failed.name}, then run again"
    return failing(reason)
