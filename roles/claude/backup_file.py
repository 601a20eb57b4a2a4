"""Pure: the backup file, which has the backups of all changed files of one settings directory.

It is one JSON file beside them. An installer carries this file to other machines, too.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from mirrorfleet.roles.claude.json_file import LIMIT, InvalidFile, parsed, written
from mirrorfleet.roles.claude.settings_backup import (
    Backup,
    Change,
    Version,
    interim,
    is_joined,
    merged,
)

Kind = TypeVar("Kind")

DEEPEST = 16
"""The largest number of levels at which the fleet sets a key."""


def backup_file(backups: Mapping[str, Backup | None], present: bytes | None = None) -> bytes | None:
    """Return the content of the backup file, ``None`` when there is nothing to restore.

    A ``present`` file with the same JSON is returned as it is. Raises ``InvalidFile`` when the file
    would be too large to be read again.
    """
    files = {path: _as_json(backup) for path, backup in backups.items() if backup}
    if not files:
        return None
    about = "What Mirrorfleet changed here, for the way back. Do not edit."
    document = {"about": about, "files": files}
    # The encoder with an indent is written in Python: a sixth of the time of a run without changes.
    if present and json.dumps(parsed(present)) == json.dumps(document):
        return present
    content = written(document)
    if len(content) > LIMIT:
        raise InvalidFile(f"holds more than {LIMIT >> 20} MiB")
    return content


def read_backups(content: bytes | None) -> dict[str, Backup]:
    """Return the backups in a backup file, by the paths of their files.

    Raises ``InvalidFile`` for anything else: the file is in a home, where the user can edit it.
    """
    try:
        files = parsed(content).get("files", {})
        return {path: _from_json(fields) for path, fields in files.items()}
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error):
        raise InvalidFile("is not a settings backup of Mirrorfleet") from None


def _as_json(backup: Backup) -> dict[str, Any]:
    packed = None if backup.original is None else zlib.compress(backup.original)
    original = None if packed is None else base64.b64encode(packed).decode()
    fields = {"written": backup.now.written, "original": original} | _version(backup.now)
    return fields | {"replaced": _version(backup.replaced)} if backup.replaced else fields


def _version(version: Version) -> dict[str, Any]:
    changes = [dict(_fields(change)) for change in version.changes]
    return {"written": version.written, "changes": changes}


def _fields(change: Change) -> Iterator[tuple[str, Any]]:
    yield "path", list(change.path)
    if change.added:
        yield "added", list(change.added)
        return
    yield "now", change.now
    if change.before:
        yield "before", change.before[0]


def _from_json(fields: dict[str, Any]) -> Backup:
    packed = fields["original"]
    return Backup(
        None if packed is None else _unpacked(packed),
        _read_version(fields),
        _read_version(fields["replaced"]) if "replaced" in fields else None,
    )


def _unpacked(packed: str) -> bytes:
    """Return the original file. Raises ``ValueError`` if it unpacks to more than ``LIMIT``."""
    stream = zlib.decompressobj()
    original = stream.decompress(base64.b64decode(packed, validate=True), LIMIT)
    if not stream.eof:
        raise ValueError
    return original


def _read_version(fields: dict[str, Any]) -> Version:
    changes = _checked(list, fields["changes"])
    return Version(_checked(str, fields["written"]), tuple(map(_read_change, changes)))


def _read_change(fields: dict[str, Any]) -> Change:
    path = tuple(_checked(str, part) for part in _checked(list, fields["path"]))
    added = tuple(_checked(list, fields.get("added", [])))
    if not 0 < len(path) <= DEEPEST or (added and not is_joined(path)):
        raise ValueError
    return Change(path, fields.get("now"), (fields["before"],) if "before" in fields else (), added)


def _checked(kind: type[Kind], value: Any) -> Kind:
    """Return the value. Raises ``ValueError`` when it is of another type."""
    if not isinstance(value, kind):
        raise ValueError
    return value


def write_steps(
    contents: Mapping[str, bytes | None],
    backup: bytes | None,
    owned: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, bytes | None]]:
    """Yield the files to write, in order, so that each has its ``owned`` keys; "" is the backup.

    ``contents`` are the present files by path, ``backup`` is the present backup file. Wherever the
    writing is interrupted, the backup can restore all files.
    """
    known = read_backups(backup)
    changed: dict[str, bytes | None] = {}
    first: dict[str, Backup | None] = {}
    last: dict[str, Backup | None] = {}
    for path, keys in owned.items():
        content = contents.get(path)
        changed[path], last[path] = merged(content, known.get(path), keys)
        first[path] = interim(content, known.get(path), changed[path], last[path])
    # Record a change before it is written, and forget it after it is reverted.
    yield "", backup_file(first, backup)
    yield from changed.items()
    if first != last:
        yield "", backup_file(last)
