"""The shape of a fleet file: where it leaves the schema, and what is left without those places."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

from jsonschema.exceptions import ValidationError

from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.schema import validator
from mirrorfleet.config.schema_errors import explain, missing, unknown


def examine(document: Document) -> tuple[Document | None, list[Problem]]:
    """Return the document without what leaves the schema, and why that does.

    What is left can be examined further, so that all mistakes of a file are told at once. It is
    ``None`` when too little is.
    """
    errors = list(validator().iter_errors(document.data))
    problems = [*document.problems]
    problems += [
        problem
        for error in errors
        if not _is_of_what_was_lost(error, document.lost)
        for problem in explain(document, error)
    ]
    data, lost = deepcopy(document.data) if errors else document.data, set(document.lost)
    while errors:
        gone = {key: instead for error in errors for key, instead in _unsound(error)}
        if () in gone:
            return None, problems
        for key, instead in gone.items():
            _replace(data, key, instead)
        if lost.issuperset(gone):
            break  # the file itself lacks something, which nothing below depends on
        lost.update(gone)
        errors = list(validator().iter_errors(data))
    return replace(document, data=data, lost=frozenset(lost)), problems


PARTS = ("required", "oneOf", "anyOf", "minProperties", "minItems")
"""What a mapping or list may fail to fit only because a part of it was lost."""


def _is_of_what_was_lost(error: ValidationError, lost: frozenset[Key]) -> bool:
    """Is it an error only because something was taken out before, which is told already?"""
    key: Key = tuple(error.absolute_path)
    if error.validator == "required":
        return (*key, missing(error)) in lost
    return error.validator in PARTS and any(each[: len(key)] == key for each in lost)


def _unsound(error: ValidationError) -> Iterator[tuple[Key, Any]]:
    """Yield the keys without which an error would not be, and what can stand there instead."""
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
        # Which secret it is makes no difference to what is around it.
        yield key, deepcopy(schema["examples"][0])  # what else is wrong there is taken out of it
    else:
        # A list without one of its items would have its other items on the wrong lines.
        while key and isinstance(key[-1], int):
            key = key[:-1]
        yield key, None


def _replace(data: Any, key: Key, instead: Any) -> None:
    for part in key[:-1]:
        if isinstance(data, dict) and part not in data:
            return  # a parent went before
        data = data[part]
    if isinstance(data, dict):
        data.pop(key[-1], None)
        if instead is not None:
            data[key[-1]] = instead
