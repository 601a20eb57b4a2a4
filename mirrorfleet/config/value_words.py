"""Values of a fleet file, and their types, in words for messages."""

from __future__ import annotations

import json
from typing import Any

from mirrorfleet.config import schema_fit


def show(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, default=str)


def kind(value: Any) -> str:
    """Return the type of a value, instead of a value that may be a secret."""
    kinds = (kind for kind in TYPES if kind != "integer" and schema_fit.TYPES[kind](value))
    return next((TYPES[kind] for kind in kinds), "null")


def article(types: str | list[str]) -> str:
    return " or ".join(TYPES[each] for each in ([types] if isinstance(types, str) else types))


TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
}
