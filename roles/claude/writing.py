"""Writing into homes that are in use: what changed since the look is looked at and merged again."""

from __future__ import annotations

from collections.abc import Callable

from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts.homes import HomeFile as HomeFact
from mirrorfleet.runtime.files import HomeFile, SystemFile, write
from mirrorfleet.runtime.observe import Observation, observe

AGAIN = 3
"""How often a home that keeps changing is looked at again."""


def settle(
    wanted: Callable[[Observation], list[HomeFile]],
    observed: Observation,
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

    yield from write(wanted(observed), observed, left, first=first)
    for _ in range(AGAIN):
        if not changed:
            return
        users = {*changed}
        changed.clear()
        before = _places(wanted(observed), users)
        known = (fact for fact in observed.values if isinstance(fact, HomeFact))
        asked = {*before, *(fact for fact in known if fact.user in users)}
        observed = observed.updated(observe(this, sorted(asked, key=lambda fact: fact.key)))
        files = [file for file in wanted(observed) if file.user in users]
        # What cannot be read any more stays as it is.
        broken = {fact.user for fact in before - _places(files, users)}
        for user in users - broken:
            del homes[user]
        yield from write(files, observed, left)


def _places(files: list[HomeFile], users: set[str]) -> set[HomeFact]:
    return {file.fact for file in files if file.user in users}
