"""Pure: JSON files as the client reads them. An installer carries this file to other machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

LIMIT = 8 * 2**20
"""Maximum bytes of a file. Real ones have some kB; homes.sh reads no larger one."""

DEEPER = 8
"""Levels that a backup adds around a file's content, so that what is written can be read again."""


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
        nested: Any = found
        for _ in range(DEEPER):
            nested = [nested]
        json.dumps(nested, indent=2, allow_nan=False)
    except InvalidFile:
        raise
    except (ValueError, RecursionError):
        raise InvalidFile("is not valid JSON") from None
    return found


def written(content: Mapping[str, Any]) -> bytes:
    """Return the bytes of a JSON file as Mirrorfleet writes it."""
    # UTF-8 has no half of a surrogate pair: it stays the escape that it was.
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode(errors="backslashreplace")
