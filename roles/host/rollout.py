"""The order of a run: from top to bottom, host after host, and one that fails stops the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from itertools import pairwise
from weakref import WeakKeyDictionary

from pyinfra.api import Host, State
from pyinfra.context import ctx_host, ctx_state

from roles.host.commands import Commands, script

_unfinished: WeakKeyDictionary[State, Host] = WeakKeyDictionary()


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
            yield script(f'echo "left as it is, because {failed.name} failed" >&2; exit 1\n')
            return
        if run.is_executing:
            _unfinished[run] = this
        yield command
        _unfinished.pop(run, None)
