"""Pure: the keys that the fleet owns in a developer's own file, and the way back.

An installer carries this file to other machines, so it needs nothing but Python's own library.
Of each file that we change, a note is kept: the file as it was, what we wrote, and each key that we
set with what stood there. As long as the file is what we wrote, the way back is the file as it was,
byte for byte; once the developer has changed it, our keys are taken back one by one.

A note is written before its file. Until the file is, the note also tells of what stands there from
an earlier run: a run that is cut in between leaves a way back from either.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, TypeVar

from mirrorfleet.roles.claude.json_file import LIMIT, NotOurs, parsed, written

Kind = TypeVar("Kind")

JOINED = {("permissions", name) for name in ("allow", "ask", "deny")}
"""Lists to which the fleet adds its own, as the client adds up those of all its files."""


DEEPEST = 16
"""Levels at which a key of ours stands at the most."""


@dataclass(frozen=True)
class Change:
    """At ``path``, ``now`` replaced ``before`` (empty: nothing), or a list has got ``added``."""

    path: tuple[str, ...]
    now: Any = None
    before: tuple[Any, ...] = ()
    added: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Version:
    """A file as we left it: its digest, and our changes in it."""

    written: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Note:
    """How one file came to be what it is. ``original`` is ``None`` when there was no file.

    ``replaced`` is what stands there until ``now`` does, if that holds changes of ours too.
    """

    original: bytes | None
    now: Version
    replaced: Version | None = None


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
        if note is not None and note.now.changes == tuple(changes):
            return content, replace(note, replaced=None)
        new = content
    return new, Note(base, Version(_digest(new), tuple(changes)))


def until(
    content: bytes | None, known: Note | None, new: bytes | None, note: Note | None
) -> Note | None:
    """Return the note to be kept while ``content`` gives way to ``new``, which ``note`` is of."""
    if content is None or content == new or known is None:
        return note
    if note is None:
        return known
    if content == note.original:
        return note
    return replace(note, replaced=Version(_digest(content), _ours(content, known)))


def taken_back(content: bytes | None, note: Note | None) -> bytes | None:
    """Return the file as it would be without us."""
    if content is None or note is None:
        return content
    versions = [note.now, note.replaced] if note.replaced else [note.now]
    if _digest(content) in [version.written for version in versions]:
        return note.original
    if content == note.original:  # a run was cut between the note and the file
        return content
    theirs = parsed(content)
    before = json.dumps(theirs)
    for change in reversed(_ours(content, note)):
        _undo(theirs, change)
    if json.dumps(theirs) == before:
        return content
    return None if theirs == {} and note.original is None else written(theirs)


def _ours(content: bytes, note: Note) -> tuple[Change, ...]:
    """Return the changes that may stand in a file: of a changed one, those of both versions."""
    if note.replaced is None or _digest(content) == note.now.written:
        return note.now.changes
    if _digest(content) == note.replaced.written:
        return note.replaced.changes
    return (*note.replaced.changes, *note.now.changes)


def claimed(owned: Mapping[str, Any], note: Note | None) -> dict[str, Any]:
    """Return the owned keys of a file and those that we set there before, nested."""
    claims: dict[str, Any] = json.loads(json.dumps(owned))
    before = (*note.now.changes, *(note.replaced.changes if note.replaced else ())) if note else ()
    for change in before:
        inner: Any = claims
        *above, name = change.path
        for part in above:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                break
        else:
            if change.added:
                there = inner.get(name)
                inner[name] = [*(there if isinstance(there, list) else ()), *change.added]
            else:
                inner.setdefault(name, change.now)
    return claims


def ours(content: bytes | None, claims: Mapping[str, Any]) -> str:
    """Return, as a text to compare, the claimed keys of a developer's file, a line for each.

    The rest is the developer's, and nobody else's to read.
    """
    return "\n".join(_lines(parsed(content), claims, ()))


def _lines(
    theirs: Mapping[str, Any], claims: Mapping[str, Any], at: tuple[str, ...]
) -> Iterator[str]:
    for name in sorted(claims.keys() & theirs.keys()):
        claim, value, path = claims[name], theirs[name], (*at, name)
        if isinstance(claim, Mapping) and isinstance(value, Mapping):
            yield from _lines(value, claim, path)
            continue
        rules = path in JOINED and isinstance(value, list) and isinstance(claim, list)
        for each in [rule for rule in value if rule in claim] if rules else [value]:
            yield f"{'.'.join(path)}: {json.dumps(each, ensure_ascii=False)}"


def _merge(
    theirs: dict[str, Any], owned: Mapping[str, Any], at: tuple[str, ...], changes: list[Change]
) -> dict[str, Any]:
    both = dict(theirs)

    def put(name: str, now: Any) -> None:
        there = (both[name],) if name in both else ()
        changes.append(Change((*at, name), now, there))
        both[name] = now

    for name, value in owned.items():
        path = (*at, name)
        if isinstance(value, Mapping):
            if not isinstance(both.get(name), dict):
                put(name, {})
            both[name] = _merge(both[name], value, path, changes)
        elif path in JOINED:
            if not isinstance(both.get(name), list):
                put(name, [])
            if missing := [each for each in value if each not in both[name]]:
                changes.append(Change(path, added=tuple(missing)))
                both[name] = [*both[name], *missing]
        elif name not in both or not _same(both[name], value):
            put(name, value)
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
    content = written({"about": about, "files": files}) if files else None
    if content is not None and len(content) > LIMIT:
        raise NotOurs(f"holds more than {LIMIT >> 20} MiB")
    return content


def notes(content: bytes | None) -> dict[str, Note]:
    """Read a receipt. Raises ``NotOurs`` when it is none: it lies in a home, for all to edit."""
    try:
        files = parsed(content).get("files", {})
        return {path: _from_json(said) for path, said in files.items()}
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error):
        raise NotOurs("is not a receipt of Mirrorfleet") from None


def _as_json(note: Note) -> dict[str, Any]:
    packed = None if note.original is None else zlib.compress(note.original)
    original = None if packed is None else base64.b64encode(packed).decode()
    said = {"written": note.now.written, "original": original} | _version(note.now)
    return said | {"replaced": _version(note.replaced)} if note.replaced else said


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


def _from_json(said: dict[str, Any]) -> Note:
    packed = said["original"]
    return Note(
        None if packed is None else _unpacked(packed),
        _read_version(said),
        _read_version(said["replaced"]) if "replaced" in said else None,
    )


def _unpacked(packed: str) -> bytes:
    """Return a file as it was; a few bytes can claim to be gigabytes."""
    stream = zlib.decompressobj()
    original = stream.decompress(base64.b64decode(packed, validate=True), LIMIT)
    if not stream.eof:
        raise ValueError
    return original


def _read_version(said: dict[str, Any]) -> Version:
    return Version(
        _a(str, said["written"]), tuple(_read_change(each) for each in _a(list, said["changes"]))
    )


def _read_change(said: dict[str, Any]) -> Change:
    path = tuple(_a(str, part) for part in _a(list, said["path"]))
    added = tuple(_a(list, said.get("added", [])))
    if not 0 < len(path) <= DEEPEST or (added and path not in JOINED):
        raise ValueError
    return Change(path, said.get("now"), (said["before"],) if "before" in said else (), added)


def _a(kind: type[Kind], said: Any) -> Kind:
    """Return a value that is to be of a kind. Raises ``ValueError`` when it is not."""
    if not isinstance(said, kind):
        raise ValueError
    return said


def steps(
    there: Mapping[str, bytes | None], paper: bytes | None, owned: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, bytes | None]]:
    """Yield the files to be written so that ``owned`` stands in each, as they come one by one.

    The receipt has no name. Wherever that is cut, the receipt knows the way back of all files.
    """
    known = notes(paper)
    changed: dict[str, bytes | None] = {}
    first: dict[str, Note | None] = {}
    last: dict[str, Note | None] = {}
    for path, keys in owned.items():
        content = there.get(path)
        changed[path], last[path] = settled(content, known.get(path), keys)
        first[path] = until(content, known.get(path), changed[path], last[path])
    # What is written is noted first; what is taken back is forgotten last.
    yield "", receipt(first)
    yield from changed.items()
    if first != last:
        yield "", receipt(last)
