"""The state of one run of pyinfra: one object, stored in pyinfra's State."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from gevent.lock import Semaphore
from pyinfra.api import Host, State
from pyinfra.context import ctx_host, ctx_state

from mirrorfleet.config.problems import Part, Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change

Value = TypeVar("Value")


@dataclass
class Skipped:
    """What a run skips on one host: problems, parts, and users whose homes were not written.

    ``homes`` has the reason for each user. ``went_back``: the host's ring failed.
    """

    problems: list[Problem] = field(default_factory=list)
    parts: set[Part] = field(default_factory=set)
    homes: dict[str, str] = field(default_factory=dict)
    went_back: bool = False


@dataclass
class Progress:
    """The progress of the hosts of a run.

    ``passed`` has the turns that each host completed, ``ended`` the hosts that take no more turns.
    ``unfinished`` is the host that began a rolling step and did not complete it. ``failed_ring`` is
    the ring of the fleet that went back, if one did: then nothing is removed.
    """

    passed: set[tuple[str, Host]] = field(default_factory=set)
    ended: set[Host] = field(default_factory=set)
    unfinished: Host | None = None
    failed_ring: str = ""


@dataclass(eq=False)
class Run:
    """One run. ``problems`` is the result of the preflight, ``None`` before it.

    ``observed`` has the observation of each host. ``skipped`` is by the name of the host's plan.
    ``changes`` has what the run will change on each host, with the titles of the roles. A run that
    ``only_shows`` them changes nothing, and holds no host. ``plans`` are those that were asked for:
    pyinfra copies a host's data at each look.
    """

    problems: list[Problem] | None = None
    observed: dict[Host, Observation] = field(default_factory=dict)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    changes: Mapping[str, Sequence[tuple[str, Change]]] = field(default_factory=dict)
    only_shows: bool = False
    progress: Progress = field(default_factory=Progress)
    is_reported: bool = False
    lock: Semaphore = field(default_factory=Semaphore)
    plans: dict[Host, HostPlan] = field(default_factory=dict)
    _remembered: dict[object, object] = field(default_factory=dict)

    def once(self, key: object, make: Callable[[], Value]) -> Value:
        """Return the result of ``make``, called once in the run for each ``key``."""
        if key not in self._remembered:
            self._remembered[key] = make()
        return cast(Value, self._remembered[key])


def current() -> Run:
    """Return the present run; outside of one, an empty run."""
    found = _state()
    if not found:
        return Run()
    # An attribute of pyinfra's state, so that it ends with it.
    attributes = vars(found)
    if "mirrorfleet_run" not in attributes:
        attributes["mirrorfleet_run"] = Run()
    return cast(Run, attributes["mirrorfleet_run"])


def is_present() -> bool:
    """Return whether there is a run."""
    return _state() is not None


def state() -> State:
    """Return pyinfra's own state of the run."""
    found: State = ctx_state.get()  # type: ignore[no-untyped-call]
    return found


def _state() -> State | None:
    found: State | None = ctx_state.get()  # type: ignore[no-untyped-call]
    return found


def host() -> Host:
    """Return the host for which pyinfra runs a deploy or an operation now."""
    found: Host = ctx_host.get()  # type: ignore[no-untyped-call]
    return found


def hosts() -> Iterator[Host]:
    """Yield all hosts of the inventory, in its order; outside of a run, none."""
    found = _state()
    yield from found.inventory if found else ()


def active(state: State) -> list[Host]:
    """Return the hosts that have not failed, in the order of the inventory: pyinfra has a set."""
    return [host for host in state.inventory if host in state.active_hosts]


def host_of(plan: HostPlan) -> Host | None:
    """Return the host of a plan; ``None`` outside of a run."""
    return (
        current()
        .once(host_of, lambda: {plan_of(host).name: host for host in hosts()})
        .get(plan.name)
    )


def hosts_with(is_found: Callable[[HostPlan], object]) -> Sequence[Host]:
    """Return the hosts whose plan has something, in the order of the inventory.

    ``is_found`` is a function of a module: it is called once in a run for each host.
    """
    return current().once(
        (hosts_with, is_found), lambda: [host for host in hosts() if is_found(plan_of(host))]
    )


def plan() -> HostPlan:
    """Return the plan of the current host."""
    return plan_of(host())


def plan_of(host: Host) -> HostPlan:
    """Return the plan of a host, from the data that its inventory module set."""
    plans = current().plans
    if host not in plans:
        found: Any = host.data.plan
        plans[host] = found
    return plans[host]


def observed() -> Observation:
    """Return the observation of the current host."""
    return current().observed[host()]


def observed_on(host: Host) -> Observation | None:
    """Return the observation of a host, ``None`` if it was not read or did not answer."""
    return current().observed.get(host)
