"""The shape of a fleet file: what the JSON schema says, in words that tell what to write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from fleet.document import Document, Key
from fleet.problems import Problem, did_you_mean

SCHEMA = Path(__file__).parent.parent / "schemas" / "fleet.schema.json"


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def problems(document: Document) -> Iterator[Problem]:
    """Yield every place where the document leaves the schema."""
    for error in validator().iter_errors(document.data):
        yield from _explain(document, error)


def _explain(document: Document, error: ValidationError) -> Iterator[Problem]:
    key: Key = tuple(error.absolute_path)
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    match error.validator:
        case "additionalProperties":
            known: set[str] = set(schema.get("properties", {}))
            for name in sorted(set(error.instance) - known):  # type: ignore[arg-type]
                yield document.problem(
                    (*key, name), "is not a key of this file.", did_you_mean(name, known)
                )
        case "required":
            missing = str(error.message).split("'")[1]
            remedy = _say(_property(schema, missing)) or "Add it."
            yield document.problem(key, f"lacks '{missing}'.", remedy)
        case "oneOf":
            yield document.problem(key, f"cannot be {_show(error.instance)}.", _say(schema))
        case _:
            yield document.problem(key, _mistake(error, schema), _say(schema))


def _mistake(error: ValidationError, schema: dict[str, Any]) -> str:
    """Say what is wrong with one value; an object is named by its type, never printed whole."""
    # What stands where a reference to a secret belongs may be the secret.
    value = "a literal value" if schema.get("writeOnly") else _show(error.instance)
    limit: Any = error.validator_value
    match error.validator:
        case "type":
            return f"must be {_article(limit)}, not {value}."
        case "enum":
            return f"cannot be {value}: it is one of {', '.join(map(str, limit))}."
        case "const":
            return f"must be {limit}, not {value}."
        case "minimum" | "exclusiveMinimum":
            return f"is {value}, below {limit}."
        case "maximum":
            return f"is {value}, above {limit}."
        case "minLength" | "minItems" | "minProperties":
            return "is empty."
        case "maxProperties":
            return "says more than one thing."
        case "uniqueItems":
            return "repeats an entry."
        case "pattern" if "propertyNames" in error.schema_path:
            return f"has the name {value}, which does not fit {limit}."
        case "pattern":
            return f"cannot be {value}: it does not fit {limit}."
        case _:
            return f"does not fit the schema ({error.validator})."


def _property(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return _resolve(schema.get("properties", {}).get(name, {}))


def _resolve(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if not reference:
        return schema
    document: dict[str, Any] = validator().schema  # type: ignore[assignment]
    target: dict[str, Any] = document["$defs"][reference.rsplit("/", 1)[1]]
    return {**target, **schema}


def _say(schema: dict[str, Any]) -> str:
    """Turn a schema's own description and example into the remedy."""
    remedy: str = schema.get("description", "")
    for example in schema.get("examples", [])[:1]:
        remedy += f" For example: {json.dumps(example)}."
    return remedy.strip()


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, default=str)


def _article(types: str | list[str]) -> str:
    return _TYPES.get(types, types) if isinstance(types, str) else " or ".join(types)


_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
}
