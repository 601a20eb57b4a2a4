"""Pure: the keys that the fleet owns in a developer's own file, and how to restore that file.

An installer carries this file to other machines, so it needs only Python's standard library.

Each changed file has a backup: the file as it was, what was written, and each key that was set with
its former value. While the file holds what was written, restoring returns the original byte for
byte. Once the developer has changed it, the fleet's keys are removed one by one.

A backup is written before its file. Until then, it also covers the result of the previous run: a
run that is interrupted in between can be reverted from either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from mirrorfleet.roles.claude.json_file import parsed, written

RULES = ("allow", "ask", "deny", "additionalDirectories")

WHOLE = ("mcpServers", "extraKnownMarketplaces")
"""Mappings whose values are replaced as a whole: half of a server and half of another is none."""


def is_joined(path: tuple[str, ...]) -> bool:
    """Return whether the fleet appends to a list: the client joins the lists of all its files."""
    return len(path) == 2 and (
        path[0] == "hooks" or (path[0] == "permissions" and path[1] in RULES)
    )


def _is_whole(path: tuple[str, ...]) -> bool:
    return len(path) == 2 and path[0] in WHOLE


@dataclass(frozen=True)
class Change:
    """At ``path``, ``now`` replaced ``before`` (empty: nothing), or a list has got ``added``."""

    path: tuple[str, ...]
    now: Any = None
    before: tuple[Any, ...] = ()
    added: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Version:
    """A file as a run wrote it: its SHA-256, and the fleet's changes in it."""

    written: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Backup:
    """The backup of one file. ``original`` is ``None`` when there was no file.

    ``replaced`` is the version on disk until ``now`` is written, if it has changes of the fleet.
    """

    original: bytes | None
    now: Version
    replaced: Version | None = None


def merged(
    content: bytes | None, backup: Backup | None, owned: Mapping[str, Any]
) -> tuple[bytes | None, Backup | None]:
    """Return the file with the owned keys and its backup; keys owned before are restored first.

    ``None`` is no file, and no backup. A file that already has the owned keys is returned as it is.
    Raises ``InvalidFile`` when the content is not a JSON object.
    """
    base = restored(content, backup)
    changes: list[Change] = []
    after = _merge(parsed(base), owned, (), changes)
    if not changes:
        return base, None
    if content is not None and _same(parsed(content), after):
        if backup is not None and backup.now.changes == tuple(changes):
            return content, replace(backup, replaced=None)
        new = content
    else:
        new = written(after)
    return new, Backup(base, Version(_digest(new), tuple(changes)))


def interim(
    content: bytes | None, known: Backup | None, new: bytes | None, backup: Backup | None
) -> Backup | None:
    """Return the backup to keep while ``new``, whose backup is ``backup``, replaces ``content``."""
    if content is None or content == new or known is None:
        return backup
    if backup is None:
        return known
    if content == backup.original:
        return backup
    return replace(backup, replaced=Version(_digest(content), _possible_changes(content, known)))


def restored(content: bytes | None, backup: Backup | None) -> bytes | None:
    """Return the file without the fleet's changes."""
    if content is None or backup is None:
        return content
    versions = [backup.now, backup.replaced] if backup.replaced else [backup.now]
    if _digest(content) in [version.written for version in versions]:
        return backup.original
    if content == backup.original:  # a run was interrupted between the backup and the file
        return content
    developers = parsed(content)
    before = json.dumps(developers)
    for change in reversed(_possible_changes(content, backup)):
        _undo(developers, change)
    if json.dumps(developers) == before:
        return content
    return None if developers == {} and backup.original is None else written(developers)


def _possible_changes(content: bytes, backup: Backup) -> tuple[Change, ...]:
    """Return the fleet's changes that a file may have; an edited one may have both versions'."""
    if backup.replaced is None or _digest(content) == backup.now.written:
        return backup.now.changes
    if _digest(content) == backup.replaced.written:
        return backup.replaced.changes
    return (*backup.replaced.changes, *backup.now.changes)


def owned_by(content: bytes | None, backup: Backup | None) -> dict[str, Any]:
    """Return the keys that the fleet owns in a file as it is, nested: with them, `merged` returns
    that file again."""
    if content is None or backup is None:
        return {}
    version = backup.now
    if backup.replaced and _digest(content) == backup.replaced.written:
        version = backup.replaced
    owned: dict[str, Any] = {}
    for change in version.changes:
        inner = owned
        *above, name = change.path
        for part in above:
            inner = inner.setdefault(part, {})
        if change.added:
            inner[name] = [*inner.get(name, ()), *change.added]
        else:
            inner[name] = json.loads(json.dumps(change.now))
    return owned


def managed_keys(owned: Mapping[str, Any], backup: Backup | None) -> dict[str, Any]:
    """Return the owned keys of a file and those that earlier runs set there, nested."""
    managed: dict[str, Any] = json.loads(json.dumps(owned))
    before: tuple[Change, ...] = ()
    if backup:
        before = (*backup.now.changes, *(backup.replaced.changes if backup.replaced else ()))
    for change in before:
        inner: Any = managed
        *above, name = change.path
        for part in above:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                break
        else:
            if change.added:
                present = inner.get(name)
                inner[name] = [*(present if isinstance(present, list) else ()), *change.added]
            else:
                inner.setdefault(name, change.now)
    return managed


def managed_lines(content: bytes | None, managed: Mapping[str, Any]) -> str:
    """Return the managed keys of a developer's file as text to compare, a line for each.

    The other keys are private to the developer, so no report shows them.
    """
    return "\n".join(_lines(parsed(content), managed, ()))


def _lines(
    developers: Mapping[str, Any], managed: Mapping[str, Any], at: tuple[str, ...]
) -> Iterator[str]:
    for name in sorted(managed.keys() & developers.keys()):
        known, value, path = managed[name], developers[name], (*at, name)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            yield from _lines(value, known, path)
            continue
        rules = is_joined(path) and isinstance(value, list) and isinstance(known, list)
        for item in [rule for rule in value if rule in known] if rules else [value]:
            yield f"{'.'.join(path)}: {json.dumps(item, ensure_ascii=False)}"


def _merge(
    developers: dict[str, Any], owned: Mapping[str, Any], at: tuple[str, ...], changes: list[Change]
) -> dict[str, Any]:
    both = dict(developers)

    def put(name: str, now: Any) -> None:
        before = (both[name],) if name in both else ()
        changes.append(Change((*at, name), now, before))
        both[name] = now

    for name, value in owned.items():
        path = (*at, name)
        if isinstance(value, Mapping) and not _is_whole(path):
            if not isinstance(both.get(name), dict):
                put(name, {})
            both[name] = _merge(both[name], value, path, changes)
        elif is_joined(path):
            if not isinstance(both.get(name), list):
                put(name, [])
            if missing := [item for item in value if item not in both[name]]:
                changes.append(Change(path, added=tuple(missing)))
                both[name] = [*both[name], *missing]
        elif name not in both or not _same(both[name], value):
            put(name, value)
    return both


def _undo(developers: dict[str, Any], change: Change) -> None:
    """Undo one change, unless the value has been changed since."""
    inner: Any = developers
    *above, name = change.path
    for part in above:
        inner = inner.get(part)
        if not isinstance(inner, dict):
            return
    if change.added:
        if isinstance(inner.get(name), list):
            inner[name] = [item for item in inner[name] if item not in change.added]
    elif name in inner and _same(inner[name], change.now):
        if change.before:
            [inner[name]] = change.before
        else:
            del inner[name]


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are the same JSON: true is not 1, the order of keys is ignored."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
