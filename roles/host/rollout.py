"""One host after the other, in the fleet file's order: one that fails stops those after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    """Let operations with ``_serial=True`` take the hosts in the inventory's order.

    pyinfra keeps the hosts that have not failed in a plain set: which gateway were to be the first
    to try a change would be left to chance.
    """
    run.active_hosts = _InOrder([each for each in run.inventory if each in run.active_hosts])


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
