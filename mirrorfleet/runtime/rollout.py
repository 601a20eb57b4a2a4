"""The order of a run: engines, gateways, clients; host after host, and one that fails stops the
rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from itertools import pairwise, takewhile
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from pyinfra.api import Host, State
from pyinfra.context import ctx_host, ctx_state

from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import undone
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.observe import Observation

_unfinished: WeakKeyDictionary[State, Host] = WeakKeyDictionary()


@dataclass
class _Progress:
    """Which host has got through which step, and who takes no further ones."""

    through: set[tuple[str, Host]] = field(default_factory=set)
    ended: set[Host] = field(default_factory=set)


_progress: WeakKeyDictionary[State, _Progress] = WeakKeyDictionary()


class _InOrder(set[Host]):
    """A set that is gone through in the order in which it was given its members."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        super().__init__(hosts)
        self._order = tuple(hosts)

    def __iter__(self) -> Iterator[Host]:
        return (each for each in self._order if each in self)


def keep_order(run: State) -> None:
    """Let a run follow the deploy from top to bottom, and the inventory from first to last.

    Not every host takes part in every operation: left to itself, pyinfra would run the first
    operation of each host, then the second, and a client would change before its gateway. And it
    keeps the hosts that have not failed in a plain set: which gateway were to be the first to try
    a change would be left to chance.
    """
    run.active_hosts = _InOrder([each for each in run.inventory if each in run.active_hosts])
    run.get_op_order = lambda: list(_from_top_to_bottom(run))  # type: ignore[method-assign]


def _from_top_to_bottom(run: State) -> Iterator[str]:
    """Yield the operations, on each host in its own order, of several that can be next the upper.

    This is pyinfra's own order where all hosts take part in all operations.
    """
    graph: TopologicalSorter[str] = TopologicalSorter()
    for each in run.inventory:
        for operation in each.op_hash_order:
            graph.add(operation)
        for operation, following in pairwise(each.op_hash_order):
            graph.add(following, operation)
    graph.prepare()
    ready: list[tuple[tuple[int, ...], str]] = []
    while graph.is_active():
        for operation in graph.get_ready():
            heappush(ready, (run.op_meta[operation].op_order, operation))
        _, upper = heappop(ready)
        yield upper
        graph.done(upper)


def in_turn(commands: Commands) -> Commands:
    """Yield the commands, unless a host before this one did not get through its own.

    For operations with ``_serial=True``. What comes too late is left as it is and reported as
    failed, so that the run's exit code and the next run know of it.
    """
    run, this = ctx_state.get(), ctx_host.get()  # type: ignore[no-untyped-call]
    for command in commands:
        failed = _unfinished.get(run)
        if failed is not None and failed is not this:
            yield _left_as_it_is(failed)
            return
        if run.is_executing:
            _unfinished[run] = this
        yield command
        _unfinished.pop(run, None)


@dataclass(frozen=True)
class Step:
    """What a host does when those ``ahead`` of it have got through their step of the same name."""

    name: str
    ahead: Callable[[], Sequence[Host]]
    commands: Commands


def step_by_step(steps: Iterable[Step]) -> Commands:
    """Yield the commands of each step, unless a host ahead did not get through its own.

    For operations that hosts take part in at the same time: unlike with ``_serial=True``, those
    that have no step in common do not wait for each other. Hosts ahead come earlier in the
    inventory, so pyinfra has begun with them before, however few it takes at a time; and all hosts
    take the steps in the same order.
    """
    run, this = ctx_state.get(), ctx_host.get()  # type: ignore[no-untyped-call]
    progress = _progress.setdefault(run, _Progress())
    try:
        for step in steps:
            for command in step.commands:
                if failed := _wait(run, progress, step):
                    yield _left_as_it_is(failed)
                    return
                yield command
            progress.through.add((step.name, this))
    finally:
        if run.is_executing:
            progress.ended.add(this)


def due_before(is_due: Callable[[HostPlan, Observation], bool]) -> list[Host]:
    """Return the hosts that come before this one in the inventory and have something to do."""
    run, this = ctx_state.get(), ctx_host.get()  # type: ignore[no-untyped-call]
    earlier = takewhile(lambda each: each is not this, run.inventory)
    return [
        each for each in earlier if each.data.get("seen") and is_due(each.data.plan, each.data.seen)
    ]


def _wait(run: State, progress: _Progress, step: Step) -> Host | None:
    """Return when the hosts ahead have got through, or the first that has not and will not."""
    for host in step.ahead() if run.is_executing else ():
        while (step.name, host) not in progress.through:
            if host in progress.ended or host in run.failed_hosts:
                return host
            gevent.sleep(0.1)
    return None


def has_engines(plan: HostPlan) -> bool:
    """Is it a host that gateways lead to?"""
    return bool(plan.engines or plan.ollama)


def backs_gateways(plan: HostPlan) -> bool:
    """Is it a host without which no gateway works: what it counts and stores is there?"""
    return bool(plan.redis or plan.postgres)


def answers_others(plan: HostPlan) -> bool:
    """Is it a host that all developers depend on? An engine is one of several, and a machine of
    developers is theirs alone."""
    return backs_gateways(plan) or plan.gateway is not None or plan.load_balancer is not None


def is_skipped(plan: HostPlan) -> bool:
    """Are the only services of the host engines, and does this run skip them?"""
    return undone.skips(plan, "engines") and not answers_others(plan)


def serves(plan: HostPlan) -> bool:
    """Is it a host without which developers get no answer, or not the one they should?"""
    return has_engines(plan) or answers_others(plan)


def behind(
    first: Callable[[HostPlan], object],
    commands: Commands,
    *,
    ahead: Callable[[HostPlan], object] = lambda _: False,
) -> Commands:
    """Yield the commands, unless a host that must be right before this one has failed in this run.

    ``first`` tells such a host by its plan, ``ahead`` one that is such a host where it comes before
    this one in the inventory.
    """
    run, this = ctx_state.get(), ctx_host.get()  # type: ignore[no-untyped-call]
    for command in commands:
        earlier = list(takewhile(lambda each: each is not this, run.inventory))
        failed = [
            each
            for each in run.inventory
            if _has_failed(run, each)
            and (first(each.data.plan) or (each in earlier and ahead(each.data.plan)))
        ]
        if failed:
            yield _left_as_it_is(failed[0])
            return
        yield command


def _has_failed(run: State, host: Host) -> bool:
    """Has it failed since it was looked at? One that could not even be reached was told of."""
    return host in run.failed_hosts and host.data.get("seen") is not None


def _left_as_it_is(failed: Host) -> Any:
    """Return what reports a host as failed on which nothing is done."""
    why = f"left as it is, because {failed.name} failed. Correct that, and run again"
    return script(f'echo "{why}" >&2; exit 1\n')
