"""The files in the homes of a machine: of those who work there, and of those who did."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from mirrorfleet.planning import ClaudePlan, HostPlan
from mirrorfleet.planning.settings import KEY_FILE
from mirrorfleet.roles.claude import homes, machine
from mirrorfleet.roles.claude.homes import Seat
from mirrorfleet.runtime import run
from mirrorfleet.runtime.facts import User
from mirrorfleet.runtime.files import HomeFile
from mirrorfleet.runtime.observe import Observation, once

LIKE_A_KEY = re.compile(rb"[!-~]{8,200}")


def desired(plan: HostPlan, observed: Observation) -> list[HomeFile]:
    """Return the files that the homes of a machine should have."""
    return _desired(plan.clients, observed)


@once
def _desired(plan: ClaudePlan | None, observed: Observation) -> list[HomeFile]:
    users = plan.users if plan else ()
    return [
        *(file for each in users for file in homes.files(each, observed)),
        *(
            file
            for seat in machine.left(plan, observed)
            if observed[User(seat.user)] is not None
            for file in homes.former(seat, observed)
        ),
    ]


def removed_keys() -> set[str]:
    """Return the keys that were on machines of this run before it, and are no longer used there."""
    found, kept = set(), set()
    for each in run.hosts():
        if observed := run.observed_on(each):
            for file in desired(run.plan_of(each), observed):
                if file.path.endswith(f"/{KEY_FILE}"):
                    there = observed[file.fact]
                    found.add(there.content if there else b"")
                    kept.add(file.content)
    # Anything else in such a file is no key: the gateway is not asked with it.
    return {key.decode() for key in found - kept if LIKE_A_KEY.fullmatch(key)}


def not_taken_back(
    seats: Iterable[Seat], observed: Observation, missed: Collection[str] = ()
) -> list[Seat]:
    """Return the seats that a run cannot take back: broken homes, and users it ``missed``."""
    return [
        seat
        for seat in seats
        if observed[User(seat.user)] is not None
        and (seat.user in missed or any(homes.leaving(seat, observed)))
    ]
