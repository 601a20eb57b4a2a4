"""The validator of fleet files, by jsonschema: it finds every error of a file with mistakes.

Only such a file imports this module: see `schema_fit.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.protocols import Validator

from mirrorfleet.config import schema
from mirrorfleet.config.schema_fit import has_control, is_integer, matches

CONTROL = "control"
"""Name of the validator's rule against control characters."""


def validator() -> Validator:
    """Return the validator of fleet files. It is stricter than JSON Schema in three points.

    131072.0 is not an integer: it would be rendered as it is into a URL or a command line. A
    string that ends with a line break does not match a pattern that ends with ``$``. A string has
    no control characters, except for line breaks and tabs where the schema has ``multiline``:
    strings are rendered into units, SSH configuration and command lines.
    """
    made: Validator = _strict()(schema.root())
    return made


@cache
def _strict() -> Any:
    return validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator,
        {"pattern": _pattern, "type": _type},
        type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
            "integer", lambda _, value: is_integer(value)
        ),
    )


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not matches(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _type(own: Validator, types: Any, value: Any, part: Any) -> Iterator[ValidationError]:
    yield from Draft202012Validator.VALIDATORS["type"](own, types, value, part)
    if types == "string" and isinstance(value, str) and has_control(part, value):
        yield ValidationError(f"{value!r} has control characters", validator=CONTROL)
