"""What a developers' machine had before its ring changed: kept there, and put back from there.

The host keeps it, and not the run, so that a run that is cut can be taken back by the next one.
Keys are not part of it: a rotation or a revocation stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude import home_writer, machine_files, user_settings
from mirrorfleet.roles.claude.facts import home_facts
from mirrorfleet.roles.claude.json_file import InvalidFile
from mirrorfleet.roles.claude.user_settings import Assignment
from mirrorfleet.runtime import run
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Content, User
from mirrorfleet.runtime.files import HomeFile
from mirrorfleet.runtime.observe import Observation, observe
from mirrorfleet.runtime.paths import STATE
from mirrorfleet.runtime.shell import positional, shell

FILES = Path(__file__).parent / "files"

FORMER = f"{STATE}/former"
"""The directory with what the machine had, until its ring is proved or has gone back."""

HOMES = Content(f"{FORMER}/homes.json")

Owned = Mapping[str, Mapping[str, Any]]


def keep(plan: HostPlan, observed: Observation) -> Commands:
    """Keep the managed keys of the homes, and the machine's commands, policy and certificates."""
    owned = [
        {"user": each.user, "directory": each.directory, "owned": found}
        for each, found in _owned(plan, observed)
    ]
    clients = plan.clients
    paths = [*machine_files.links(clients)] if clients else []
    paths += [file.path for file in machine_files.files(clients)]
    paths += machine_files.unused_commands(clients, observed)
    kept = (path for path in paths if path != machine_files.ASSIGNMENT_LIST)
    text = shell(FILES / "keep_former.sh", former=FORMER, list=machine_files.ASSIGNMENT_LIST)
    yield script(positional(*dict.fromkeys(kept)) + text, json.dumps(owned))


def put_back(plan: HostPlan, observed: Observation) -> Commands:
    """Write the former settings into the homes as they are now, then the machine's files."""
    assignments = _assignments(plan, observed)
    requested = [fact for each in assignments for fact in home_facts(each.user, each.directory)]
    now = observed.updated(observe(run.host(), [HOMES, *requested]))
    former = _read(now[HOMES])

    def desired(observed: Observation) -> list[HomeFile]:
        return [
            file
            for assignment, owned in former.items()
            if assignment in assignments and observed[User(assignment.user)] is not None
            for file in user_settings.files_with(assignment, owned, observed)
        ]

    yield from home_writer.write_homes(desired, now)
    text = shell(FILES / "restore_former.sh", former=FORMER, list=machine_files.ASSIGNMENT_LIST)
    yield script(text)


def _owned(plan: HostPlan, observed: Observation) -> Iterator[tuple[Assignment, Owned]]:
    for assignment in _assignments(plan, observed):
        try:
            yield assignment, user_settings.owned_now(assignment, observed)
        except InvalidFile:  # a run does not write there either
            continue


def _assignments(plan: HostPlan, observed: Observation) -> list[Assignment]:
    """Return the assignments of the plan, and those that this run removes."""
    return [
        *machine_files.assignments(plan.clients),
        *machine_files.former_assignments(plan.clients, observed),
    ]


def _read(content: bytes | None) -> dict[Assignment, Owned]:
    found = json.loads(content or b"[]")
    return {Assignment(each["user"], each["directory"]): each["owned"] for each in found}
