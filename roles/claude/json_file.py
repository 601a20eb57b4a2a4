"""Pure: JSON files as the client reads them. An installer carries this file to other machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

LIMIT = 8 * 2**20
"""Bytes of a file at the most. Real ones have some kB, and homes.sh reads no larger one."""

DEEPER = 8
"""Levels by which a receipt nests what it keeps of a file: what is written can be read again."""


class NotOurs(ValueError):
    """The developer's file is not a JSON object: it is reported, never overwritten."""


def parsed(content: bytes | None) -> dict[str, Any]:
    """Return what a file holds; no file, or an empty one, holds no keys.

    Raises ``NotOurs`` when the content is not a JSON object that can be written back.
    """
    try:
        theirs = json.loads(content) if content and content.strip() else {}
        if not isinstance(theirs, dict):
            raise NotOurs("is not a JSON object")
        nested: Any = theirs
        for _ in range(DEEPER):
            nested = [nested]
        json.dumps(nested, indent=2, allow_nan=False)
    except NotOurs:
        raise
    except (ValueError, RecursionError):
        raise NotOurs("is not valid JSON") from None
    return theirs


def written(content: Mapping[str, Any]) -> bytes:
    """Return a JSON file as we write it."""
    # Half a surrogate pair, which UTF-8 does not have, stays the escape that it was.
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode(errors="backslashreplace")
