"""Write into homes that are in use: read what changed since the survey, and merge again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyinfra import logger

from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts.homes import HomeFile as HomeFact
from mirrorfleet.runtime.files import HomeFile, HomeLink, SystemFile, write
from mirrorfleet.runtime.observe import Observation, observe

RETRIES = 3
"""How often a run reads a home again that keeps changing."""


def write_homes(
    desired: Callable[[Observation], list[HomeFile]],
    observed: Observation,
    first: SystemFile | None = None,
    links: Sequence[HomeLink] = (),
) -> Commands:
    """Write the ``desired`` files of the homes, derived from the homes as they are, and ``links``.

    A running client saves its state every few minutes, and a run may take an hour. A home that
    cannot be written is skipped; an own entry in place of a link is only a warning. If anything is
    written, ``first`` is written before it.
    """
    this = run.host()
    homes = skipped.on_host(run.plan()).homes
    changed: set[str] = set()

    def skip(how: str, user: str, reason: str) -> None:
        if how == "kept":
            this.log(f"~{user} keeps its own entries: {reason}", logger.warning)
            return
        homes[user] = f"~{user}: {reason}"
        if how == "changed":
            changed.add(user)

    yield from write(desired(observed), observed, skip, first=first, links=links)
    for _ in range(RETRIES):
        if not changed:
            return
        users = {*changed}
        changed.clear()
        before = _facts(desired(observed), users)
        known = (fact for fact in observed.values if isinstance(fact, HomeFact))
        facts = {*before, *(fact for fact in known if fact.user in users)}
        observed = observed.updated(observe(this, sorted(facts, key=lambda fact: fact.key)))
        files = [file for file in desired(observed) if file.user in users]
        # Files that can no longer be read stay as they are.
        broken = {fact.user for fact in before - _facts(files, users)}
        for user in users - broken:
            del homes[user]
        again = [link for link in links if link.user in users]
        yield from write(files, observed, skip, links=again)


def _facts(files: list[HomeFile], users: set[str]) -> set[HomeFact]:
    return {file.fact for file in files if file.user in users}
