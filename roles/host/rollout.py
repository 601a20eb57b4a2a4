"""One host after the other: one that fails stops those after it."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from pyinfra.api import Host, State
from pyinfra.context import ctx_host, ctx_state

from roles.host.commands import Commands, script

_unfinished: WeakKeyDictionary[State, Host] = WeakKeyDictionary()


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
