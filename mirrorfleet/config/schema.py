"""The JSON schema of fleet files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import category

from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.protocols import Validator

SCHEMA = Path(__file__).parent.parent / "schemas" / "fleet.schema.json"


@cache
def validator() -> Validator:
    """Return the validator of fleet files, stricter in three points than the language of schemas.

    131072.0 is no whole number: it would be written as it is into a URL or a command line. A word
    with a line break at its end does not fit a pattern that ends with ``$``. And no text holds
    control characters, but for line breaks and tabs where the schema says ``multiline``: texts go
    into units, ssh's configuration and command lines.
    """
    strict = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator,
        {"pattern": _pattern, "type": _type},
        type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
    )
    made: Validator = strict(json.loads(SCHEMA.read_text(encoding="utf-8")))
    return made


def _is_integer(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and (not re.search(pattern, value) or value.endswith("\n")):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _type(own: Validator, types: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    yield from Draft202012Validator.VALIDATORS["type"](own, types, value, schema)
    if types == "string" and isinstance(value, str) and not value.isprintable():
        allowed = "\n\t" if schema.get("multiline") else ""
        if any(each not in allowed and category(each) in CONTROLS for each in value):
            yield ValidationError(f"{value!r} has control characters", validator=CONTROL)


CONTROL = "control"
"""What the validator calls a text with control characters."""

CONTROLS = ("Cc", "Cs", "Zl", "Zp")
"""Categories of Unicode: control characters, halves of characters, and breaks of lines."""


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the schema with what it refers to; what it says itself wins."""
    reference = schema.get("$ref")
    if not reference:
        return schema
    document: dict[str, Any] = validator().schema  # type: ignore[assignment]
    target: dict[str, Any] = document["$defs"][reference.rsplit("/", 1)[1]]
    return {**target, **schema}
