"""Pure: a developer's own files and the keys that the fleet owns, put together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class NotOurs(ValueError):
    """The developer's file is not a JSON object: it is reported, never overwritten."""


def merged(content: bytes | None, owned: Mapping[str, Any]) -> bytes:
    """Return the developer's file with the owned keys in place.

    ``content`` is the file as it is, or None. Where the owned keys stand already, the very same
    bytes come back; otherwise the developer's keys keep their order and values.

    Raises ``NotOurs`` when the content is not a JSON object.
    """
    try:
        theirs = json.loads(content) if content and content.strip() else {}
        if not isinstance(theirs, dict):
            raise NotOurs("is not a JSON object")
        before, after = _written(theirs), _written(_merge(theirs, owned))
    except NotOurs:
        raise
    except (ValueError, RecursionError):
        raise NotOurs("is not valid JSON") from None
    return content if content and before == after else after


def ours(content: bytes | None, owned: Mapping[str, Any]) -> str:
    """Return, as a text to compare, the owned keys of a developer's file, one of a JSON object.

    The rest is the developer's, and nobody else's to read.
    """
    theirs = json.loads(content) if content and content.strip() else {}
    return _written(_part(theirs, owned)).decode()


def _part(theirs: dict[str, Any], owned: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _part(theirs[key], value)
        if isinstance(value, Mapping) and isinstance(theirs[key], dict)
        else theirs[key]
        for key, value in owned.items()
        if key in theirs
    }


def _written(content: dict[str, Any]) -> bytes:
    # Half a surrogate pair, which UTF-8 does not have, stays the escape that it was.
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode(errors="backslashreplace")


def _merge(theirs: dict[str, Any], owned: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(theirs)
    for key, value in owned.items():
        there = both.get(key)
        if isinstance(value, Mapping) and isinstance(there, dict):
            both[key] = _merge(there, value)
        else:
            both[key] = value
    return both
