"""The JSON schema of fleet files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
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
    made: Validator = strict(_schema())
    return made


def add_engine(name: str, model: Mapping[str, Any]) -> None:
    """Let fleet files name another engine; ``model`` is the schema of one of its models."""
    _own_engines[name] = model
    validator.cache_clear()


_own_engines: dict[str, Mapping[str, Any]] = {}
"""The schemas of models on engines that fleet.schema.json does not know, by engine."""


def _schema() -> dict[str, Any]:
    """Return fleet.schema.json, with the engines that were added."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    engine_model = schema["$defs"]["engineModel"]
    for name, model in _own_engines.items():
        schema["$defs"][f"{name}Model"] = model
        engine_model["properties"]["engine"]["enum"].append(name)
        chosen = {"required": ["engine"], "properties": {"engine": {"const": name}}}
        engine_model["allOf"].append({"if": chosen, "then": {"$ref": f"#/$defs/{name}Model"}})
    return schema


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
