"""Pure: the keys that the fleet owns in a developer's own file, and the way back.

Of each file that we change, a note is kept: the file as it was, what we wrote, and each key that we
set with what stood there. As long as the file is what we wrote, the way back is the file as it was,
byte for byte; once the developer has changed it, our keys are taken back one by one.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from roles.claude.render import NotOurs, parsed, written

JOINED = {("permissions", name) for name in ("allow", "ask", "deny")}
"""Lists to which the fleet adds its own, as the client adds up those of all its files."""


@dataclass(frozen=True)
class Change:
    """At ``path``, ``now`` replaced ``before`` (empty: nothing), or a list has got ``added``."""

    path: tuple[str, ...]
    now: Any = None
    before: tuple[Any, ...] = ()
    added: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Note:
    """How one file came to be what it is. ``original`` is ``None`` when there was no file."""

    original: bytes | None
    written: str
    changes: tuple[Change, ...]


def settled(
    content: bytes | None, note: Note | None, owned: Mapping[str, Any]
) -> tuple[bytes | None, Note | None]:
    """Return the file with the owned keys, and the note of it; what was owned before is taken back.

    ``None`` is no file, and no note. Where the file says all that already, it comes back as it is.
    Raises ``NotOurs`` when it is not a JSON object.
    """
    base = taken_back(content, note)
    changes: list[Change] = []
    after = _merge(parsed(base), owned, (), changes)
    if not changes:
        return base, None
    new = written(after)
    if content is not None and _same(parsed(content), after):
        if note is not None and note.changes == tuple(changes):
            return content, note
        new = content
    return new, Note(base, _digest(new), tuple(changes))


def taken_back(content: bytes | None, note: Note | None) -> bytes | None:
    """Return the file as it would be without us."""
    if content is None or note is None:
        return content
    if _digest(content) == note.written:
        return note.original
    if content == note.original:  # a run was cut between the note and the file
        return content
    theirs = parsed(content)
    before = json.dumps(theirs)
    for change in reversed(note.changes):
        _undo(theirs, change)
    if json.dumps(theirs) == before:
        return content
    return None if theirs == {} and note.original is None else written(theirs)


def _merge(
    theirs: dict[str, Any], owned: Mapping[str, Any], at: tuple[str, ...], changes: list[Change]
) -> dict[str, Any]:
    both = dict(theirs)

    def replace(name: str, now: Any) -> None:
        there = (both[name],) if name in both else ()
        changes.append(Change((*at, name), now, there))
        both[name] = now

    for name, value in owned.items():
        path = (*at, name)
        if isinstance(value, Mapping):
            if not isinstance(both.get(name), dict):
                replace(name, {})
            both[name] = _merge(both[name], value, path, changes)
        elif path in JOINED:
            if not isinstance(both.get(name), list):
                replace(name, [])
            if missing := [each for each in value if each not in both[name]]:
                changes.append(Change(path, added=tuple(missing)))
                both[name] = [*both[name], *missing]
        elif name not in both or not _same(both[name], value):
            replace(name, value)
    return both


def _undo(theirs: dict[str, Any], change: Change) -> None:
    """Take one change back, unless something else stands there by now."""
    inner: Any = theirs
    *above, name = change.path
    for part in above:
        inner = inner.get(part)
        if not isinstance(inner, dict):
            return
    if change.added:
        if isinstance(inner.get(name), list):
            inner[name] = [each for each in inner[name] if each not in change.added]
    elif name in inner and _same(inner[name], change.now):
        if change.before:
            [inner[name]] = change.before
        else:
            del inner[name]


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON: true is not 1, and the order of keys says nothing."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


# The receipt: the notes of all files of one directory, as one JSON file beside them.


def receipt(notes: Mapping[str, Note | None]) -> bytes | None:
    """Return the receipt, or ``None`` when there is nothing to take back."""
    files = {path: _as_json(note) for path, note in notes.items() if note}
    about = "What Mirrorfleet changed here, for the way back. Do not edit."
    return written({"about": about, "files": files}) if files else None


def notes(content: bytes | None) -> dict[str, Note]:
    """Read a receipt. Raises ``NotOurs`` when it is none."""
    try:
        files = parsed(content).get("files", {})
        return {path: _from_json(said) for path, said in files.items()}
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error):
        raise NotOurs("is no receipt of ours") from None


def _as_json(note: Note) -> dict[str, Any]:
    packed = None if note.original is None else zlib.compress(note.original)
    return {
        "written": note.written,
        "original": None if packed is None else base64.b64encode(packed).decode(),
        "changes": [dict(_fields(change)) for change in note.changes],
    }


def _fields(change: Change) -> Iterator[tuple[str, Any]]:
    yield "path", list(change.path)
    if change.added:
        yield "added", list(change.added)
        return
    yield "now", change.now
    if change.before:
        yield "before", change.before[0]


def _from_json(said: dict[str, Any]) -> Note:
    packed = said["original"]
    return Note(
        None if packed is None else zlib.decompress(base64.b64decode(packed)),
        str(said["written"]),
        tuple(
            Change(
                tuple(map(str, each["path"])),
                each.get("now"),
                (each["before"],) if "before" in each else (),
                tuple(each.get("added", ())),
            )
            for each in said["changes"]
        ),
    )
