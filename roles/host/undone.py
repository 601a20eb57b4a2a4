"""What a run skips on a host: reported when it is known, and again at the end, with exit code 1.

A broken home or a missing GPU concerns one host. The rest of the run goes on; keys above all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.command import PyinfraCommand
from pyinfra.context import ctx_host, ctx_state

from roles.host.commands import Commands, operation


@dataclass
class Undone:
    """What is skipped on one host: why, and the users whose homes could not be written."""

    whys: list[str] = field(default_factory=list)
    homes: dict[str, str] = field(default_factory=dict)


_runs: WeakKeyDictionary[State, dict[Host, Undone]] = WeakKeyDictionary()


def of(host: Host) -> Undone:
    """Return what this run skips on a host."""
    run: State = ctx_state.get()  # type: ignore[no-untyped-call]
    return _runs.setdefault(run, {}).setdefault(host, Undone())


def skip(host: Host, why: str) -> None:
    """Remember, and report, what is skipped on a host and why."""
    if why not in of(host).whys:
        of(host).whys.append(why)
        host.log(f"skipped: {why}", logger.warning)


def homes(host: Host) -> Mapping[str, str]:
    """Return the users of a host whose homes this run could not write, and why."""
    return of(host).homes


class _Fail(PyinfraCommand):
    """What fails on a host without asking it anything."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def execute(self, state: State, host: Host, connector_arguments: Any) -> bool:
        for line in self.lines:
            host.log(f"skipped: {line}", logger.error)
        return False


def finish() -> None:
    """End the run on this host: it fails where something was skipped, so that the exit code is 1.

    The last call of a deploy, because a host that fails takes no further part in a run.
    """
    _finish(name="what was skipped")


@operation
def _finish() -> Commands:
    run: State = ctx_state.get()  # type: ignore[no-untyped-call]
    this: Host = ctx_host.get()  # type: ignore[no-untyped-call]
    found = of(this)
    whys = [*found.whys, *found.homes.values()]
    # What is skipped may turn out while the run goes on, but only where something is done.
    if whys or (not run.is_executing and this.op_hash_order):
        yield _Fail(whys)
