"""Keys that begin with ``x-``, which are for people, and counts of tokens such as ``256Ki``.

Both depend on the schema of their place: a header may be called x-team, and a name 128k.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import Key
from mirrorfleet.config.schema import Schema, below, fixed, keys, root

EXTENSION = "x-"
"""How keys begin that Mirrorfleet ignores: places for YAML anchors."""

UNITS = {"k": 1000, "m": 1000**2, "ki": 1024, "mi": 1024**2}

COUNT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([kKmM]i?)")
"""A number of tokens in short."""


def expand(document: Document) -> Document:
    """Return the document without extension keys, and with counts of tokens as numbers."""
    changes = list(_changes(document.data, (), root()))
    if not changes:
        return document
    data = document.data
    for key, value in changes:
        data = _replaced(data, key, value)
    return replace(document, data=data)


_GONE = object()


def _changes(data: Any, key: Key, schema: Schema) -> Iterator[tuple[Key, Any]]:
    """Yield each key to replace, and its value. Only parts that have one are compared with the
    schema: a fleet can have 60,000 hosts."""
    if isinstance(data, dict):
        candidates = [name for name, value in data.items() if _is_candidate(name, value)]
        known = keys(schema, data) if candidates else {}
        for name in candidates:
            value, inner = data[name], known.get(name)
            if inner is None and name.startswith(EXTENSION) and fixed(schema, data):
                yield (*key, name), _GONE
            elif isinstance(value, str):
                if inner and inner.get("tokens") and (number := tokens(value)) is not None:
                    yield (*key, name), number
            else:
                yield from _changes(value, (*key, name), below(schema, data, name))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from _changes(item, (*key, index), _item(schema))


def _is_candidate(name: str, value: Any) -> bool:
    if name.startswith(EXTENSION):
        return True
    if isinstance(value, str):
        return COUNT.fullmatch(value) is not None
    if isinstance(value, dict):
        return any(_is_candidate(each, inner) for each, inner in value.items())
    return isinstance(value, list) and any(_is_candidate("", each) for each in value)


def _item(schema: Schema) -> Schema:
    found = schema.get("items", {})
    return found if isinstance(found, dict) else {}


def tokens(text: str) -> int | None:
    """Return the number of tokens of ``256Ki`` (times 1,024) or ``200k`` (times 1,000)."""
    found = COUNT.fullmatch(text)
    if not found:
        return None
    number = float(found[1]) * UNITS[found[2].lower()]
    return int(number) if number == int(number) else None


def _replaced(data: Any, key: Key, value: Any) -> Any:
    """Return a copy of the data with another value at a key; parts beside it are shared."""
    first, rest = key[0], key[1:]
    if isinstance(data, list):
        return [
            _replaced(each, rest, value) if at == first else each for at, each in enumerate(data)
        ]
    copy = dict(data)
    if rest:
        copy[first] = _replaced(copy[first], rest, value)
    elif value is _GONE:
        del copy[first]
    else:
        copy[first] = value
    return copy
