"""The files in the homes of a machine: of its developers, and of those who were removed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from mirrorfleet.planning import ClaudePlan, HostPlan
from mirrorfleet.planning.connection import KEY_FILE
from mirrorfleet.roles.claude import machine_files, user_settings
from mirrorfleet.roles.claude.user_settings import Assignment
from mirrorfleet.runtime import run
from mirrorfleet.runtime.facts import User
from mirrorfleet.runtime.files import HomeFile
from mirrorfleet.runtime.observe import Observation, once

LIKE_A_KEY = re.compile(rb"[!-~]{8,200}")


def desired(plan: HostPlan, observed: Observation) -> list[HomeFile]:
    """Return the files that the homes of a machine should have."""
    return _desired(plan.clients, observed)


def keys(plan: HostPlan, observed: Observation) -> list[HomeFile]:
    """Return the keys among the desired files."""
    return [file for file in desired(plan, observed) if file.path.endswith(f"/{KEY_FILE}")]


@once
def _desired(plan: ClaudePlan | None, observed: Observation) -> list[HomeFile]:
    users = plan.users if plan else ()
    return [
        *(file for user in users for file in user_settings.desired_files(user, observed)),
        *(
            file
            for assignment in machine_files.former_assignments(plan, observed)
            if observed[User(assignment.user)] is not None
            for file in user_settings.restored_files(assignment, observed)
        ),
    ]


def removed_keys() -> set[str]:
    """Return the keys that this run removes from all machines that had them."""
    found, kept = set(), set()
    for host in run.hosts():
        if observed := run.observed_on(host):
            for file in desired(run.plan_of(host), observed):
                if file.path.endswith(f"/{KEY_FILE}"):
                    present = observed[file.fact]
                    found.add(present.content if present else b"")
                    kept.add(file.content)
    # Anything else in a key file is not a key: the gateway must not receive it.
    return {key.decode() for key in found - kept if LIKE_A_KEY.fullmatch(key)}


def unrestorable(
    assignments: Iterable[Assignment], observed: Observation, missed: Collection[str] = ()
) -> list[Assignment]:
    """Return the assignments whose files a run cannot restore: broken homes, ``missed`` users."""
    return [
        assignment
        for assignment in assignments
        if observed[User(assignment.user)] is not None
        and (assignment.user in missed or any(user_settings.restore_problems(assignment, observed)))
    ]
