"""Claude Code off a developer's machine: a role like any other, for deploys/remove_clients.py."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from pyinfra.api import deploy

from mirrorfleet import runtime
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles import claude
from mirrorfleet.roles.claude import homes, machine, writing
from mirrorfleet.roles.claude.homes import Seat
from mirrorfleet.runtime import undone
from mirrorfleet.runtime.commands import Commands, operation
from mirrorfleet.runtime.facts import Fact, User
from mirrorfleet.runtime.files import HomeFile
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change, Skipped


def questions(plan: HostPlan) -> list[Fact[Any]]:
    """What must be known of a machine: where the fleet has settings."""
    asked = machine.questions(plan.clients)
    return [*asked, *(q for seat in machine.seats(plan.clients) for q in homes.questions(seat))]


def refusals(plan: HostPlan, observed: Observation) -> list[Skipped]:
    """Why somebody's settings stay as they are."""
    return [why for seat in _seats(plan, observed) for why in homes.leaving(seat, observed)]


def changes(plan: HostPlan, observed: Observation) -> Iterator[Change]:
    """All that will be taken back."""
    yield from homes.changes(former(plan, observed), (), observed)
    if any(True for _ in machine.cleared(plan.clients, observed)):
        yield Change("Claude Code's commands, policy and clients will be removed")


def fetch(plan: HostPlan, observed: Observation) -> None:
    """Bring nothing: no host is sent anything."""


@deploy("Claude Code")
def remove() -> None:
    """Take back all that `configure` wrote: files as they were, no key, no command, no client."""
    unsettle(name="settings and keys")
    unshare(name="commands, policy and client")


@operation
def unsettle() -> Commands:
    """Bring each developer's files back to what they were."""
    yield from writing.settle(partial(former, runtime.plan()), runtime.seen())


@operation
def unshare() -> Commands:
    """Remove policy, commands and clients of the machine."""
    plan, observed = runtime.plan(), runtime.seen()
    missed = undone.homes(plan)
    yield from machine.cleared(
        plan.clients, observed, claude.kept(_seats(plan, observed), observed, missed)
    )


def former(plan: HostPlan, observed: Observation) -> list[HomeFile]:
    """Return the files of all seats as they were before us."""
    return [file for seat in _seats(plan, observed) for file in homes.former(seat, observed)]


def _seats(plan: HostPlan, observed: Observation) -> list[Seat]:
    known = dict.fromkeys([*machine.seats(plan.clients), *machine.left(plan.clients, observed)])
    return [seat for seat in known if observed[User(seat.user)] is not None]
