"""Report the values that do not fit the schema, and remove them for further checks."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

from jsonschema.exceptions import ValidationError

from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.schema_errors import explain, missing, misspelled, unknown
from mirrorfleet.config.schema_validator import validator


def without(document: Document) -> tuple[Document | None, list[Problem]]:
    """Return the document without invalid values, and the problems. See `schema_validation.py`."""
    errors = list(validator().iter_errors(document.data))
    problems = [*document.problems]
    reported = document.lost | misspelled(errors)
    problems += [
        problem
        for error in errors
        if not _is_of_what_was_lost(error, reported)
        for problem in explain(document, error)
    ]
    data, lost = deepcopy(document.data), set(document.lost)
    while errors:
        gone = {key: instead for error in errors for key, instead in _unsound(error)}
        if () in gone:
            return None, problems
        for key, instead in gone.items():
            _replace(data, key, instead)
        if lost.issuperset(gone):
            break  # a key is missing at the top, and nothing below depends on it
        lost.update(gone)
        errors = list(validator().iter_errors(data))
    return replace(document, data=data, lost=frozenset(lost)), problems


PARTS = ("required", "oneOf", "anyOf", "minProperties", "minItems")
"""Rules that a mapping or list may break only because an invalid part was removed."""


def _is_of_what_was_lost(error: ValidationError, lost: frozenset[Key]) -> bool:
    """Return whether an error is only due to a removed value, which is reported already."""
    key: Key = tuple(error.absolute_path)
    if error.validator == "required":
        return (*key, missing(error)) in lost
    return error.validator in PARTS and any(each[: len(key)] == key for each in lost)


def _unsound(error: ValidationError) -> Iterator[tuple[Key, Any]]:
    """Yield the keys to remove for an error to disappear, and a replacement if there is one."""
    key: Key = tuple(error.absolute_path)
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    if error.validator == "additionalProperties":
        for name in unknown(error):
            yield (*key, name), None
    elif "propertyNames" in error.absolute_schema_path:
        yield (*key, str(error.instance)), None
    elif error.validator == "required" and not key:
        yield (missing(error),), None
    elif "writeOnly" in schema and "examples" in schema:
        # Any other secret is as good for the other checks.
        yield key, deepcopy(schema["examples"][0])  # later rounds remove keys from the copy
    else:
        # Without one item, the other items of a list would be on the wrong lines.
        while key and isinstance(key[-1], int):
            key = key[:-1]
        yield key, None


def _replace(data: Any, key: Key, instead: Any) -> None:
    for part in key[:-1]:
        if isinstance(data, dict) and part not in data:
            return  # a parent is removed already
        data = data[part]
    if isinstance(data, dict):
        data.pop(key[-1], None)
        if instead is not None:
            data[key[-1]] = instead
