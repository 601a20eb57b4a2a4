"""The order of a run: engines, gateways, clients.

Where hosts change one after another, the first failure stops the rest.
"""

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
    """A set that iterates in the order of the hosts with which it was created."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        super().__init__(hosts)
        self._order = tuple(hosts)

    def __iter__(self) -> Iterator[Host]:
        return (host for host in self._order if host in self)


def keep_order(state: State) -> None:
    """Make a run follow the deploy from top to bottom, and the inventory from first to last.

    Not every host takes part in every operation. pyinfra's default would run the first operation of
    each host, then the second, so a client would change before its gateway. Its set of hosts has no
    order, so a random gateway would be the first to change.
    """
    state.active_hosts = _InOrder([host for host in state.inventory if host in state.active_hosts])
    state.get_op_order = lambda: list(_from_top_to_bottom(state))  # type: ignore[method-assign]


def _from_top_to_bottom(state: State) -> Iterator[str]:
    """Yield the operations in each host's order; of several candidates, the upper in the deploy.

    If all hosts take part in all operations, this is pyinfra's own order.
    """
    graph: TopologicalSorter[str] = TopologicalSorter()
    for host in state.inventory:
        for operation in host.op_hash_order:
            graph.add(operation)
        for operation, following in pairwise(host.op_hash_order):
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
    """Yield the commands, unless an earlier host did not complete its own.

    For steps with ``serial=True``. A host after a failure is skipped and reported as failed, so
    that the exit code shows it.
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
    """The commands of a host, to run after the hosts ``ahead`` completed the turn of this name."""

    name: str
    ahead: Callable[[], Sequence[Host]]
    commands: Commands


def ordered_rollout(turns: Iterable[Turn]) -> Commands:
    """Yield the commands of each turn, unless a host ahead did not complete its own.

    For steps that hosts take in parallel: unlike with ``serial=True``, hosts without a common turn
    do not wait for each other. There is no deadlock: hosts ahead come earlier in the inventory, so
    pyinfra starts them first, and all hosts take turns in the same order.
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
    """Return the hosts before this one in the inventory that have something to change."""
    this = run.host()
    earlier = takewhile(lambda host: host is not this, run.hosts())
    return [
        host
        for host in earlier
        if (observed := run.observed_on(host)) and is_due(run.plan_of(host), observed)
    ]


def _wait(state: State, progress: Progress, turn: Turn) -> Host | None:
    """Wait for the hosts ahead to complete their turn. Return the first that will not, if any."""
    for host in turn.ahead() if state.is_executing else ():
        while (turn.name, host) not in progress.passed:
            if host in progress.ended or host in state.failed_hosts:
                return host
            gevent.sleep(0.1)
    return None


def has_engines(plan: HostPlan) -> bool:
    """Return whether the host has engines."""
    return bool(plan.engines)


def has_gateway(plan: HostPlan) -> bool:
    """Return whether the host has a gateway."""
    return plan.gateway is not None


def has_gateway_stores(plan: HostPlan) -> bool:
    """Return whether the host has Redis or Postgres, without which no gateway works."""
    return bool(plan.gateway_stores)


def has_shared_services(plan: HostPlan) -> bool:
    """Return whether all developers depend on the host: on more than engines or clients."""
    return bool(plan.shared_services)


def is_host_skipped(plan: HostPlan) -> bool:
    """Return whether this run skips the engines of the host, and it has no other services."""
    return skipped.is_skipped(plan, "engines") and not has_shared_services(plan)


def has_services(plan: HostPlan) -> bool:
    """Return whether the host has services, which developers' requests need."""
    return bool(plan.services)


def gated_by(
    first: Callable[[HostPlan], object],
    commands: Commands,
    *,
    ahead: Callable[[HostPlan], object] = lambda _: False,
) -> Commands:
    """Yield the commands, unless a host on which this one depends has failed in this run.

    ``first`` selects these hosts by their plans. ``ahead`` selects hosts that count only if they
    come before this one in the inventory.
    """
    this = run.host()
    for command in commands:
        earlier = list(takewhile(lambda host: host is not this, run.hosts()))
        failed = [
            host
            for host in run.hosts()
            if _has_failed(host)
            and (first(run.plan_of(host)) or (host in earlier and ahead(run.plan_of(host))))
        ]
        if failed:
            yield _skipped_because_of(failed[0])
            return
        yield command


def _has_failed(host: Host) -> bool:
    """Return whether the host failed after the preflight; unreachable ones are reported already."""
    return host in run.state().failed_hosts and run.observed_on(host) is not None


def _skipped_because_of(failed: Host) -> PyinfraCommand:
    """Return a command that changes nothing, and reports this host as failed."""
    reason = f"skipped because {failed.name} failed: fix {failed.name}, then run again"
    return failing(reason)
