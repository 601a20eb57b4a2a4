"""A developer's own files: the settings that the fleet owns among them, the key, the receipt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.plan import ClientPlan
from fleet.plan.settings import KEY_FILE
from roles.claude.json_file import NotOurs
from roles.claude.receipt import Note, claimed, notes, ours, settled, steps
from roles.host.files import HomeFile, outdated
from roles.host.observe import Observation, Question
from roles.host.report import Change
from roles.host.secrets import reveal

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


def seat(client: ClientPlan) -> Seat:
    return Seat(client.user, client.directory)


def questions(where: Seat) -> list[Question]:
    """What must be known of a seat; observe.sh's `seats` asks the same of those it lists."""
    files = (where.settings, where.state, where.key, where.receipt)
    return [("user", where.user), *(("home_file", where.user, file) for file in files)]


def refusals(client: ClientPlan, seen: Observation) -> Iterator[str]:
    """Yield why a developer cannot be given the settings."""
    if client.user not in seen.users:
        yield f"has no user '{client.user}'. Create the login first."
    else:
        yield from _unreadable(seat(client), owned(client), seen)


def leaving(where: Seat, seen: Observation) -> Iterator[str]:
    """Yield why the settings of somebody who leaves cannot be taken back."""
    yield from _unreadable(where, _nothing(where), seen)


def files(client: ClientPlan, seen: Observation) -> list[HomeFile]:
    """Return the files of a developer as they are to be."""
    where = seat(client)
    key = HomeFile(where.user, where.key, reveal(client.key).encode())
    return [key, *_settled(where, owned(client), seen)]


def former(where: Seat, seen: Observation) -> list[HomeFile]:
    """Return the files of somebody who leaves as they were before us, and no key."""
    return [HomeFile(where.user, where.key, None), *_settled(where, _nothing(where), seen)]


def owned(client: ClientPlan) -> dict[str, Mapping[str, Any]]:
    """Return the keys that the fleet owns in each of a developer's files, by path."""
    where = seat(client)
    return {where.settings: client.settings, where.state: client.state}


def changes(
    files: Sequence[HomeFile], users: Sequence[ClientPlan], seen: Observation
) -> Iterator[Change]:
    """Tell of the files that will be changed; of the developers' own, the keys that are ours."""
    mine = {seat(each): owned(each) for each in users}
    for file in outdated(files, seen):
        there = seen.home_files.get((file.user, file.path))
        what = f"~{file.user}/{file.path} {file.how(there)}"
        where = Seat(file.user, file.path.split("/")[0].removesuffix(".json"))
        if file.path not in (where.settings, where.state):
            yield Change(what)
            continue
        keys = mine.get(where, {}).get(file.path, {})
        claims = claimed(keys, _notes(where, seen).get(file.path))
        before = ours(there.content if there else None, claims)
        yield Change(what, before=before, new=ours(file.content, claims))


def _nothing(where: Seat) -> dict[str, Mapping[str, Any]]:
    return {where.settings: {}, where.state: {}}


def _settled(
    where: Seat, owned: Mapping[str, Mapping[str, Any]], seen: Observation
) -> Iterator[HomeFile]:
    """Yield the receipt and the files of a seat, with what the fleet owns in them."""
    there = {path: seen.home_files.get((where.user, path)) for path in [where.receipt, *owned]}
    contents = {path: found.content if found else None for path, found in there.items()}
    for name, content in steps(contents, contents[where.receipt], owned):
        path = name or where.receipt
        found = there[path] if name else None
        yield HomeFile(where.user, path, content, found.mode if found else "600")


def _notes(where: Seat, seen: Observation) -> dict[str, Note]:
    there = seen.home_files.get((where.user, where.receipt))
    return notes(there.content if there else None)


def _unreadable(
    where: Seat, owned: Mapping[str, Mapping[str, Any]], seen: Observation
) -> Iterator[str]:
    for path in (where.settings, where.state, where.receipt):
        found = seen.home_files.get((where.user, path))
        if found and found.mode == "unreadable":
            yield (
                f"has a ~{where.user}/{path} that {where.user} cannot read. "
                f"Give it back: chown {where.user}, chmod u+rw."
            )
            return
    try:
        known = _notes(where, seen)
    except NotOurs as error:
        yield (
            f"has a ~{where.user}/{where.receipt} that {error}. Put back the one that was there; "
            "without any, what stands in the settings is taken for the developer's."
        )
        return
    for path, keys in owned.items():
        there = seen.home_files.get((where.user, path))
        try:
            settled(there.content if there else None, known.get(path), keys)
        except NotOurs as error:
            yield (
                f"has a ~{where.user}/{path} that {error}; it is the developer's, so it stays. "
                "Mend or move it, then run again."
            )
