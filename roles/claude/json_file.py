"""Pure: JSON files as the client reads them. An installer carries this file to other machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

LIMIT = 8 * 2**20
"""Maximum bytes of a file. Real ones have some kB; homes.sh reads no larger one."""

DEEPER = 8
"""Levels that a backup adds around a file's content, so that what is written can be read again."""

SHALLOW = 200
"""Levels that every encoder can write, whatever called it."""


class InvalidFile(ValueError):
    """A developer's file that is not a JSON object: a run reports it and never overwrites it."""


def parsed(content: bytes | None) -> dict[str, Any]:
    """Return the JSON object in a file; no file, or an empty one, has no keys.

    Raises ``InvalidFile`` when the content is not a JSON object that can be written back.
    """
    try:
        found = json.loads(content) if content and content.strip() else {}
        if not isinstance(found, dict):
            raise InvalidFile("is not a JSON object")
        _check(content or b"")
    except InvalidFile:
        raise
    except (ValueError, RecursionError):
        raise InvalidFile("is not valid JSON") from None
    return found


# A run reads each file several times.
@lru_cache(maxsize=256)
def _check(content: bytes) -> None:
    """Raise ``ValueError`` or ``RecursionError`` for JSON that cannot be written back."""
    nested: Any = json.loads(content) if content.strip() else {}
    # The encoder in C has no indent. It is many times as fast, and reaches deeper than the other.
    indent = None if _is_shallow(nested) else 2
    for _ in range(DEEPER):
        nested = [nested]
    json.dumps(nested, indent=indent, allow_nan=False)


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(SHALLOW):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))  # Macs have Python 3.9, without dict | list
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False


def written(content: Mapping[str, Any]) -> bytes:
    """Return the bytes of a JSON file as Mirrorfleet writes it."""
    # UTF-8 has no half of a surrogate pair: it stays the escape that it was.
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode(errors="backslashreplace")
