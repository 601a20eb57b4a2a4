"""A developer's own files: the settings that the fleet owns among them, the key, the receipt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import ClientPlan
from mirrorfleet.planning.settings import KEY_FILE
from mirrorfleet.roles.claude.json_file import NotOurs
from mirrorfleet.roles.claude.receipt import Note, claimed, notes, ours, settled, steps
from mirrorfleet.runtime.facts import User
from mirrorfleet.runtime.facts.homes import HomeFile as HomeFact
from mirrorfleet.runtime.files import HomeFile, outdated
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import skip
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.secrets import reveal

RECEIPT = "mirrorfleet-receipt.json"


@dataclass(frozen=True)
class Seat:
    """A directory of the client in a user's home."""

    user: str
    directory: str = ".claude"

    @property
    def command(self) -> str:
        """The command that looks into this directory, by its name."""
        return self.directory.removeprefix(".")

    @property
    def settings(self) -> str:
        return f"{self.directory}/settings.json"

    @property
    def state(self) -> str:
        """The client's own notes: of the ordinary one they stand beside its directory."""
        return ".claude.json" if self.directory == ".claude" else f"{self.directory}/.claude.json"

    @property
    def key(self) -> str:
        return f"{self.directory}/{KEY_FILE}"

    @property
    def receipt(self) -> str:
        return f"{self.directory}/{RECEIPT}"

    def file(self, path: str) -> HomeFact:
        """Return the fact of one of the user's files."""
        return HomeFact(self.user, path)


def seat(client: ClientPlan) -> Seat:
    return Seat(client.user, client.directory)


def problems(client: ClientPlan, observed: Observation) -> Iterator[Problem]:
    """Yield why a developer's settings stay as they are."""
    if observed[User(client.user)] is None:
        yield skip(f"there is no user '{client.user}'.", "Create the login first.")
    else:
        yield from _unsound(seat(client), owned(client), observed)


def leaving(where: Seat, observed: Observation) -> Iterator[Problem]:
    """Yield why the settings of somebody who leaves are not taken back."""
    yield from _unsound(where, _nothing(where), observed)


def files(client: ClientPlan, observed: Observation) -> list[HomeFile]:
    """Return the files of a developer as they are to be."""
    if observed[User(client.user)] is None:
        return []
    return _wanted(seat(client), reveal(client.key).encode(), owned(client), observed)


def former(where: Seat, observed: Observation) -> list[HomeFile]:
    """Return the files of somebody who leaves as they were before us, and no key."""
    return _wanted(where, None, _nothing(where), observed)


def _wanted(
    where: Seat, key: bytes | None, owned: Mapping[str, Mapping[str, Any]], observed: Observation
) -> list[HomeFile]:
    """Return the key, which no file of the developer's holds up, and the settings if they can be
    read."""
    keys = (
        [HomeFile(where.user, where.key, key)] if not _unknown(where, where.key, observed) else []
    )
    sound = not any(_unsound(where, owned, observed))
    return [*keys, *(_settled(where, owned, observed) if sound else ())]


def owned(client: ClientPlan) -> dict[str, Mapping[str, Any]]:
    """Return the keys that the fleet owns in each of a developer's files, by path."""
    where = seat(client)
    return {where.settings: client.settings, where.state: client.state}


def changes(
    files: Sequence[HomeFile], users: Sequence[ClientPlan], observed: Observation
) -> Iterator[Change]:
    """Tell of the files that will be changed; of the developers' own, the keys that are ours."""
    mine = {seat(each): owned(each) for each in users}
    for file in outdated(files, observed):
        there = observed[file.fact]
        what = f"~{file.user}/{file.path} {file.how(there)}"
        where = Seat(file.user, file.path.split("/")[0].removesuffix(".json"))
        if file.path not in (where.settings, where.state):
            yield Change(what)
            continue
        keys = mine.get(where, {}).get(file.path, {})
        claims = claimed(keys, _notes(where, observed).get(file.path))
        before = ours(there.content if there else None, claims)
        yield Change(what, before=before, new=ours(file.content, claims))


def _nothing(where: Seat) -> dict[str, Mapping[str, Any]]:
    return {where.settings: {}, where.state: {}}


def _settled(
    where: Seat, owned: Mapping[str, Mapping[str, Any]], observed: Observation
) -> Iterator[HomeFile]:
    """Yield the receipt and the files of a seat, with what the fleet owns in them."""
    there = {path: observed[where.file(path)] for path in [where.receipt, *owned]}
    contents = {path: found.content if found else None for path, found in there.items()}
    for name, content in steps(contents, contents[where.receipt], owned):
        path = name or where.receipt
        found = there[path] if name else None
        yield HomeFile(where.user, path, content, found.mode if found else "600")


def _notes(where: Seat, observed: Observation) -> dict[str, Note]:
    there = observed[where.file(where.receipt)]
    return notes(there.content if there else None)


UNKNOWN = {
    "unreadable": ("cannot be read by {user}.", "Give it back: chown {user}, chmod u+rw."),
    "irregular": ("is not a regular file.", "Move it, then run again."),
    "oversized": ("is larger than 8 MiB.", "Shorten or move it, then run again."),
    "slow": ("cannot be read in time.", "Repair the home's disk, then run again."),
}
"""Why a home's file is not known, and the fix, by what an observation has in place of its mode."""


def _unknown(where: Seat, path: str, observed: Observation) -> Problem | None:
    """Return why the content of a home's file is not known, ``None`` where it is."""
    found = observed[where.file(path)]
    if found is None or found.mode not in UNKNOWN:
        return None
    mistake, fix = (text.format(user=where.user) for text in UNKNOWN[found.mode])
    return skip(f"~{where.user}/{path} {mistake}", fix)


def _unsound(
    where: Seat, owned: Mapping[str, Mapping[str, Any]], observed: Observation
) -> Iterator[Problem]:
    """Yield why a home's files stay as they are. ``owned`` is to stand in them."""
    for path in (where.key, where.settings, where.state, where.receipt):
        if unknown := _unknown(where, path, observed):
            yield unknown
            return
    receipt = f"~{where.user}/{where.receipt}"
    try:
        known = _notes(where, observed)
    except NotOurs as exception:
        yield skip(
            f"{receipt} {exception}.",
            "Put back the one that was there; without any, what stands in the settings counts as "
            "the developer's.",
        )
        return
    found = False
    for path, keys in owned.items():
        there = observed[where.file(path)]
        try:
            settled(there.content if there else None, known.get(path), keys)
        except NotOurs as exception:
            found = True
            yield skip(
                f"~{where.user}/{path} {exception}; it is the developer's, so it stays.",
                "Repair or move it, then run again.",
            )
    try:
        if not found:
            list(_settled(where, owned, observed))
    except NotOurs as exception:
        yield skip(f"the new {receipt} {exception}.", f"Shorten ~{where.user}/{where.settings}.")
