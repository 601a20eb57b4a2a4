"""Writing into homes that are in use: what changed since the look is looked at and merged again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.files import HomeFile, SystemFile, write
from mirrorfleet.runtime.observe import Observation, observe

AGAIN = 3
"""How often a home that keeps changing is looked at again."""


def settle(
    wanted: Callable[[Observation], list[HomeFile]],
    seen: Observation,
    first: SystemFile | None = None,
) -> Commands:
    """Write the files that are ``wanted`` of the homes as they are.

    A client that runs saves its state every few minutes, and a run may take an hour. A home that
    cannot be written is skipped.
    """
    this = run.host()
    homes = skipped.on(run.plan()).homes
    changed: set[str] = set()

    def left(how: str, user: str, why: str) -> None:
        homes[user] = f"~{user}: {why}"
        if how == "changed":
            changed.add(user)

    yield from write(wanted(seen), seen, left, first=first)
    for _ in range(AGAIN):
        if not changed:
            return
        users = {*changed}
        changed.clear()
        before = _places(wanted(seen), users)
        asked = {*before, *(place for place in seen.home_files if place[0] in users)}
        fresh = observe(this, [("home_file", *place) for place in sorted(asked)])
        seen = replace(seen, home_files=fresh.home_files)
        files = [file for file in wanted(seen) if file.user in users]
        # What cannot be read any more stays as it is.
        broken = {user for user, _ in before - _places(files, users)}
        for user in users - broken:
            del homes[user]
        yield from write(files, seen, left)


def _places(files: list[HomeFile], users: set[str]) -> set[tuple[str, str]]:
    return {(file.user, file.path) for file in files if file.user in users}
