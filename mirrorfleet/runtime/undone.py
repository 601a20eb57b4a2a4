"""What a run skips on a host: reported when it is known, and again at the end, with exit code 1.

A broken home or a missing GPU concerns one host. The rest of the run goes on; keys above all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakKeyDictionary

from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.command import PyinfraCommand
from pyinfra.context import ctx_host, ctx_state

from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.commands import Commands, operation

Part = Literal["engines", "gateway", "clients"]
"""What of a host can be skipped, while the rest of it takes part in the run."""


@dataclass
class Undone:
    """What is skipped on one host: why, which parts, and the users whose homes were not written."""

    whys: list[str] = field(default_factory=list)
    parts: set[Part] = field(default_factory=set)
    homes: dict[str, str] = field(default_factory=dict)


_runs: WeakKeyDictionary[State, dict[str, Undone]] = WeakKeyDictionary()
"""Of each run, by the names of hosts."""


def of(plan: HostPlan) -> Undone:
    """Return what this run skips on a host."""
    run = _run()
    return _runs.setdefault(run, {}).setdefault(plan.name, Undone()) if run else Undone()


def host_of(plan: HostPlan) -> Host | None:
    """Return the host of a plan; ``None`` outside a run."""
    run = _run()
    hosts = run.inventory if run else ()
    return next((each for each in hosts if each.data.plan.name == plan.name), None)


def _run() -> State | None:
    return ctx_state.get() if ctx_state.isset() else None  # type: ignore[no-untyped-call]


def skip(host: Host, why: str, part: Part | None = None) -> None:
    """Remember, and report, what is skipped on a host and why."""
    found = of(host.data.plan)
    if part:
        found.parts.add(part)
    if why not in found.whys:
        found.whys.append(why)
        host.log(f"skipped: {why}", logger.warning)


def skips(plan: HostPlan, part: Part) -> bool:
    """Does this run skip a part of a host?"""
    return part in of(plan).parts


def homes(plan: HostPlan) -> Mapping[str, str]:
    """Return the users of a host whose homes this run could not write, and why."""
    return of(plan).homes


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
    found = of(this.data.plan)
    whys = [*found.whys, *found.homes.values()]
    # What is skipped may turn out while the run goes on, but only where something is done.
    if whys or (not run.is_executing and this.op_hash_order):
        yield _Fail(whys)
