"""A developer's own files: the settings that the fleet owns in them, the key, the backup."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import ClientPlan
from mirrorfleet.planning.connection import KEY_FILE
from mirrorfleet.roles.claude.backup_file import read_backups, write_steps
from mirrorfleet.roles.claude.json_file import InvalidFile
from mirrorfleet.roles.claude.settings_backup import (
    Backup,
    managed_keys,
    managed_lines,
    merged,
    owned_by,
)
from mirrorfleet.runtime.facts import User
from mirrorfleet.runtime.facts.homes import HomeFile as HomeFact
from mirrorfleet.runtime.files import HomeFile, leftovers, outdated
from mirrorfleet.runtime.observe import Observation, once
from mirrorfleet.runtime.problems import skip
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.secrets import reveal

BACKUP = "mirrorfleet-receipt.json"
"""The name of the backup file: that of release 0.1."""


@dataclass(frozen=True)
class Assignment:
    """A user of a host and a settings directory of the client in that user's home."""

    user: str
    directory: str = ".claude"

    @property
    def command(self) -> str:
        """The name of the command that uses this directory."""
        return self.directory.removeprefix(".")

    @property
    def settings(self) -> str:
        """The path of the settings, relative to the home, as are the other paths."""
        return f"{self.directory}/settings.json"

    @property
    def state(self) -> str:
        """The client's own state: the ordinary client has it beside its directory."""
        return ".claude.json" if self.directory == ".claude" else f"{self.directory}/.claude.json"

    @property
    def key(self) -> str:
        """The path of the developer's key."""
        return f"{self.directory}/{KEY_FILE}"

    @property
    def backup(self) -> str:
        """The path of the backup file."""
        return f"{self.directory}/{BACKUP}"

    def file(self, path: str) -> HomeFact:
        """Return the fact of one of the user's files."""
        return HomeFact(self.user, path)


def assignment_of(client: ClientPlan) -> Assignment:
    """Return the assignment of a developer's plan."""
    return Assignment(client.user, client.directory)


def problems(client: ClientPlan, observed: Observation) -> Iterator[Problem]:
    """Yield why a run leaves a developer's settings as they are."""
    if observed[User(client.user)] is None:
        yield skip(f"there is no user '{client.user}'.", "Create the login first.")
    else:
        yield from _file_problems(assignment_of(client), owned_keys(client), observed)


def restore_problems(assignment: Assignment, observed: Observation) -> Iterator[Problem]:
    """Yield why the settings of a removed developer cannot be restored."""
    yield from _file_problems(assignment, _no_keys(assignment), observed)


def desired_files(client: ClientPlan, observed: Observation) -> list[HomeFile]:
    """Return the desired files of a developer."""
    if observed[User(client.user)] is None:
        return []
    key = None if client.key_helper else reveal(client.key).encode()
    return _files(assignment_of(client), key, owned_keys(client), observed)


def restored_files(assignment: Assignment, observed: Observation) -> list[HomeFile]:
    """Return the files of a removed developer without the fleet's changes, and without the key."""
    return _files(assignment, None, _no_keys(assignment), observed)


def owned_now(assignment: Assignment, observed: Observation) -> dict[str, Mapping[str, Any]]:
    """Return the keys that the fleet owns in a developer's files as they are, by path.

    Raises ``InvalidFile`` for a broken backup.
    """
    known = _backups(assignment, observed)
    found: dict[str, Mapping[str, Any]] = {}
    for path in (assignment.settings, assignment.state):
        present = observed[assignment.file(path)]
        found[path] = owned_by(present.content if present else None, known.get(path))
    return found


def files_with(
    assignment: Assignment, owned: Mapping[str, Mapping[str, Any]], observed: Observation
) -> list[HomeFile]:
    """Return a developer's files with other keys of the fleet; none if they cannot be written."""
    if any(_file_problems(assignment, owned, observed)):
        return []
    return list(_merged_files(assignment, owned, observed))


def _files(
    assignment: Assignment,
    key: bytes | None,
    owned: Mapping[str, Mapping[str, Any]],
    observed: Observation,
) -> list[HomeFile]:
    """Return the key, and the settings if they can be read. Broken settings do not delay a key."""
    keys: list[HomeFile] = []
    if not _unreadable(assignment, assignment.key, observed):
        keys.append(HomeFile(assignment.user, assignment.key, key))
    if any(_file_problems(assignment, owned, observed)):
        return keys
    return [*keys, *_merged_files(assignment, owned, observed)]


def owned_keys(client: ClientPlan) -> dict[str, Mapping[str, Any]]:
    """Return the keys that the fleet owns in each of a developer's files, by path."""
    assignment = assignment_of(client)
    return {assignment.settings: client.settings, assignment.state: client.state}


def changes(
    files: Sequence[HomeFile], users: Sequence[ClientPlan], observed: Observation
) -> Iterator[Change]:
    """Yield the files that will change. Diffs of a developer's own files show managed keys only."""
    owned = {assignment_of(user): owned_keys(user) for user in users}
    for file in outdated(files, observed):
        present = observed[file.fact]
        what = f"~{file.user}/{file.path} {file.difference(present)}"
        assignment = Assignment(file.user, file.path.split("/")[0].removesuffix(".json"))
        if file.path not in (assignment.settings, assignment.state):
            yield Change(what)
            continue
        keys = owned.get(assignment, {}).get(file.path, {})
        managed = managed_keys(keys, _backups(assignment, observed).get(file.path))
        before = managed_lines(present.content if present else None, managed)
        yield Change(what, before=before, new=managed_lines(file.content, managed))
    for left in leftovers(observed):
        yield Change(f"~{left.user}/{left.path}: files of an interrupted run will be removed")


def _no_keys(assignment: Assignment) -> dict[str, Mapping[str, Any]]:
    return {assignment.settings: {}, assignment.state: {}}


def _merged_files(
    assignment: Assignment, owned: Mapping[str, Mapping[str, Any]], observed: Observation
) -> Iterator[HomeFile]:
    """Yield the backup and the files of an assignment, with the keys that the fleet owns."""
    yield from _merged(_Owned(assignment, json.dumps(owned)), observed)


@dataclass(frozen=True)
class _Owned:
    """An assignment, and the keys by path that the fleet owns in it, as JSON."""

    assignment: Assignment
    keys: str


# Several times in a run, and most of the time of a run without a change.
@once
def _merged(owned: _Owned, observed: Observation) -> list[HomeFile]:
    """Return the files of `_merged_files`. Raises ``InvalidFile``."""
    assignment, keys = owned.assignment, json.loads(owned.keys)
    present = {path: observed[assignment.file(path)] for path in [assignment.backup, *keys]}
    contents = {path: found.content if found else None for path, found in present.items()}
    files = []
    for name, content in write_steps(contents, contents[assignment.backup], keys):
        path = name or assignment.backup
        found = present[path] if name else None
        files.append(HomeFile(assignment.user, path, content, found.mode if found else "600"))
    return files


def _backups(assignment: Assignment, observed: Observation) -> dict[str, Backup]:
    present = observed[assignment.file(assignment.backup)]
    return read_backups(present.content if present else None)


UNREADABLE = {
    "unreadable": ("cannot be read by {user}.", "Give it back: chown {user}, chmod u+rw."),
    "irregular": ("is not a regular file.", "Move it, then run again."),
    "oversized": ("is larger than 8 MiB.", "Shorten or move it, then run again."),
    "slow": ("cannot be read in time.", "Repair the home's disk, then run again."),
}
"""Why the content of a file is not known, and the fix, by what an observation has as its mode."""


def _unreadable(assignment: Assignment, path: str, observed: Observation) -> Problem | None:
    """Return why the content of a home's file is not known, ``None`` where it is."""
    found = observed[assignment.file(path)]
    if found is None or found.mode not in UNREADABLE:
        return None
    mistake, fix = (text.format(user=assignment.user) for text in UNREADABLE[found.mode])
    return skip(f"~{assignment.user}/{path} {mistake}", fix)


def _file_problems(
    assignment: Assignment, owned: Mapping[str, Mapping[str, Any]], observed: Observation
) -> Iterator[Problem]:
    """Yield why a run cannot write the ``owned`` keys into a home's files."""
    for path in (assignment.key, assignment.settings, assignment.state, assignment.backup):
        if problem := _unreadable(assignment, path, observed):
            yield problem
            return
    try:
        list(_merged_files(assignment, owned, observed))
        return
    except InvalidFile as exception:
        mistake = str(exception)
    backup = f"~{assignment.user}/{assignment.backup}"
    try:
        known = _backups(assignment, observed)
    except InvalidFile as exception:
        yield skip(
            f"{backup} {exception}.",
            "Put the original back. If you remove it, all present settings count as the "
            "developer's own.",
        )
        return
    found = False
    for path, keys in owned.items():
        present = observed[assignment.file(path)]
        try:
            merged(present.content if present else None, known.get(path), keys)
        except InvalidFile as exception:
            found = True
            yield skip(
                f"~{assignment.user}/{path} {exception}; it is the developer's, so it stays.",
                "Repair or move it, then run again.",
            )
    if not found:
        yield skip(
            f"the new {backup} {mistake}.",
            f"Shorten ~{assignment.user}/{assignment.settings}.",
        )
