"""The removal of Claude Code from developers' machines: the role of deploys/remove_clients.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude import (
    home_files,
    home_links,
    home_writer,
    machine_files,
    user_settings,
)
from mirrorfleet.roles.claude.facts import home_facts
from mirrorfleet.roles.claude.user_settings import Assignment
from mirrorfleet.runtime import skipped
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Fact, User
from mirrorfleet.runtime.files import HomeFile
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step


class ClaudeRemoval(Role):
    """Undo all that `Claude` wrote: restore the files, remove keys, commands and clients."""

    title = "Claude Code"

    def facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        yield from machine_files.facts(plan.clients)
        for assignment in machine_files.assignments(plan.clients):
            yield from home_facts(assignment.user, assignment.directory)

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        for assignment in _assignments(plan, observed):
            yield from user_settings.restore_problems(assignment, observed)

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        yield from user_settings.changes(restored_files(plan, observed), (), observed)
        if any(True for _ in machine_files.remove_all(plan.clients, observed)):
            yield Change("Claude Code's commands, policy and clients will be removed")

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (
            Step("settings and keys", self.restore_homes),
            Step("commands, policy and client", self.remove_machine_files),
        )

    def restore_homes(self, plan: HostPlan, observed: Observation) -> Commands:
        """Restore each developer's files as they were."""
        links = home_links.restored(_assignments(plan, observed), observed)
        yield from home_writer.write_homes(partial(restored_files, plan), observed, links=links)

    def remove_machine_files(self, plan: HostPlan, observed: Observation) -> Commands:
        """Remove policy, commands and clients of the machine."""
        missed = skipped.homes(plan)
        kept = home_files.unrestorable(_assignments(plan, observed), observed, missed)
        yield from machine_files.remove_all(plan.clients, observed, kept)


def restored_files(plan: HostPlan, observed: Observation) -> list[HomeFile]:
    """Return the files of all assignments without the fleet's changes."""
    return [
        file
        for assignment in _assignments(plan, observed)
        for file in user_settings.restored_files(assignment, observed)
    ]


def _assignments(plan: HostPlan, observed: Observation) -> list[Assignment]:
    """Return the present and former assignments of users that the host has."""
    known = dict.fromkeys(
        [
            *machine_files.assignments(plan.clients),
            *machine_files.former_assignments(plan.clients, observed),
        ]
    )
    return [assignment for assignment in known if observed[User(assignment.user)] is not None]
