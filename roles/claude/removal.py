"""Claude Code off a developer's machine: the role of deploys/remove_clients.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude import home_files, homes, machine, writing
from mirrorfleet.roles.claude.facts import home_facts
from mirrorfleet.roles.claude.homes import Seat
from mirrorfleet.runtime import skipped
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Fact, User
from mirrorfleet.runtime.files import HomeFile
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step


class ClaudeRemoval(Role):
    """Take back all that `Claude` wrote: files as they were, no key, no command, no client."""

    title = "Claude Code"

    def facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        yield from machine.facts(plan.clients)
        for seat in machine.seats(plan.clients):
            yield from home_facts(seat.user, seat.directory)

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        for seat in _seats(plan, observed):
            yield from homes.leaving(seat, observed)

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        yield from homes.changes(former(plan, observed), (), observed)
        if any(True for _ in machine.cleared(plan.clients, observed)):
            yield Change("Claude Code's commands, policy and clients will be removed")

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (
            Step("settings and keys", self.restore_homes),
            Step("commands, policy and client", self.remove_machine_files),
        )

    def restore_homes(self, plan: HostPlan, observed: Observation) -> Commands:
        """Restore each developer's files as they were."""
        yield from writing.settle(partial(former, plan), observed)

    def remove_machine_files(self, plan: HostPlan, observed: Observation) -> Commands:
        """Remove policy, commands and clients of the machine."""
        missed = skipped.homes(plan)
        kept = home_files.not_taken_back(_seats(plan, observed), observed, missed)
        yield from machine.cleared(plan.clients, observed, kept)


def former(plan: HostPlan, observed: Observation) -> list[HomeFile]:
    """Return the files of all seats as they were before."""
    return [file for seat in _seats(plan, observed) for file in homes.former(seat, observed)]


def _seats(plan: HostPlan, observed: Observation) -> list[Seat]:
    known = dict.fromkeys([*machine.seats(plan.clients), *machine.left(plan.clients, observed)])
    return [seat for seat in known if observed[User(seat.user)] is not None]
