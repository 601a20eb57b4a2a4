"""The JSON schema of fleet files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parent.parent / "schemas" / "fleet.schema.json"


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the schema with what it refers to; what it says itself wins."""
    reference = schema.get("$ref")
    if not reference:
        return schema
    document: dict[str, Any] = validator().schema  # type: ignore[assignment]
    target: dict[str, Any] = document["$defs"][reference.rsplit("/", 1)[1]]
    return {**target, **schema}
