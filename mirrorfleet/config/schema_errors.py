"""What an error of the schema means, in words that tell what to write instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from jsonschema.exceptions import ValidationError

from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.config.schema import CONTROL, resolve, validator


def explain(
    document: Document, error: ValidationError, around: dict[str, Any] | None = None
) -> Iterator[Problem]:
    """Say what an error means. ``around`` is the schema that lists it as an alternative."""
    key: Key = tuple(error.absolute_path)
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    remedy = _both(_referring(error), schema) or _say(around or {})
    match error.validator:
        case "additionalProperties":
            for name in unknown(error):
                known = schema.get("properties", {})
                yield document.problem(
                    (*key, name), "is not a key of this file.", did_you_mean(name, known)
                )
        case "required":
            name = missing(error)
            need = _say(_property(schema, name)) or "Add it."
            yield document.problem(key, f"lacks '{name}'.", need)
        case "oneOf":
            yield from _alternatives(document, error)
        case _ if "propertyNames" in error.absolute_schema_path:
            yield document.problem(
                (*key, str(error.instance)), "cannot have this name.", _fitting(error)
            )
        case _ if variable := _variable(error.instance):
            yield from _reference(document, key, error, schema, variable)
        case _:
            yield document.problem(key, _mistake(error, schema), remedy)


VARIABLE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)|\$\{([A-Z_][A-Z0-9_]*)\}")
"""How a config.yaml of LiteLLM, or a shell, names a variable."""


def _variable(value: Any) -> str:
    """Return the name of the variable that a value is another language's word for."""
    found = VARIABLE.fullmatch(value) if isinstance(value, str) else None
    return (found[1] or found[2]) if found else ""


def _reference(
    document: Document, key: Key, error: ValidationError, schema: dict[str, Any], name: str
) -> Iterator[Problem]:
    """A variable in the words of LiteLLM or a shell: only secrets are read from variables."""
    if schema.get("writeOnly"):
        mistake, remedy = f"must be a mapping, not '{error.instance}'.", f"Write {{env: {name}}}."
    else:
        mistake = f"is '{error.instance}', and a fleet file reads only secrets from variables."
        remedy = "Write the value itself."
    yield document.problem(key, mistake, remedy)


def _referring(error: ValidationError) -> dict[str, Any]:
    """Return the place in the schema that was left, before its reference is followed: it says more.

    The path of an error names neither references nor the `if` beside a `then`.
    """
    at: Any = validator().schema
    for part in list(error.absolute_schema_path)[:-1]:
        at = at if isinstance(at, list) or part in at else resolve(at)
        at = at if part == "if" else at[part]
    found: dict[str, Any] = at
    return found


def missing(error: ValidationError) -> str:
    """Return the key that a mapping lacks."""
    return str(error.message).split("'")[1]


def unknown(error: ValidationError) -> list[str]:
    """Return the keys of a mapping that the schema does not have."""
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    return sorted(set(error.instance) - set(schema.get("properties", {})))  # type: ignore[arg-type]


def _alternatives(document: Document, error: ValidationError) -> Iterator[Problem]:
    """Explain a value that is none of several things, by the one that it looks like."""
    key: Key = tuple(error.absolute_path)
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    branches = [resolve(branch) for branch in schema["oneOf"]]
    if all("required" in branch and "type" not in branch for branch in branches):
        ways = ", or ".join(" and ".join(f"'{name}'" for name in b["required"]) for b in branches)
        yield document.problem(key, f"must say one of {ways}, and one only.", _say(schema))
        return
    alike = _alike(branches, error.instance)
    inner = [each for each in error.context or () if each.schema_path[0] in alike]
    if len(alike) == 1 and inner:
        for each in inner:
            each.parent = error
            yield from explain(document, each, schema)
    else:
        yield document.problem(key, f"cannot be {_show(error.instance)}.", _say(schema))


def _alike(branches: list[dict[str, Any]], value: Any) -> list[int]:
    """Return which alternatives are of a value's type and, of several, have what it has."""
    types = [branch.get("type", "null") for branch in branches]
    alike = [at for at, each in enumerate(types) if validator().is_type(value, each)]
    if len(alike) == 1:
        return alike
    return [at for at in alike if set(branches[at].get("required", ())) & set(value)]


def _mistake(error: ValidationError, schema: dict[str, Any]) -> str:
    """Say what is wrong with one value; an object is named by its type, never printed whole."""
    # What stands where a reference to a secret belongs may be the secret.
    hidden = schema.get("writeOnly") and error.instance is not None
    value = "a literal value" if hidden else _show(error.instance)
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
        case _ if error.validator == CONTROL:
            return f"is {value}: it holds a line break or another control character."
        case "pattern":
            return f"cannot be {value}: it does not fit {limit}."
        case _:
            return f"does not fit the schema ({error.validator})."


def _fitting(error: ValidationError) -> str:
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    return _say(schema) or f"It must fit {schema.get('pattern')}."


def _property(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return resolve(schema.get("properties", {}).get(name, {}))


def _say(schema: dict[str, Any]) -> str:
    """Turn a schema's own description and example into the remedy."""
    remedy: str = schema.get("description", "")
    for example in schema.get("examples", [])[:1]:
        remedy += f" For example: {json.dumps(example)}."
    return remedy.strip()


def _both(referring: dict[str, Any], referred: dict[str, Any]) -> str:
    """Say what a value is for and, when that stands elsewhere, what it looks like."""
    said = dict.fromkeys(each.get("description", "") for each in (referring, referred))
    return _say({**referred, **referring, "description": " ".join(filter(None, said))})


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, default=str)


def _article(types: str | list[str]) -> str:
    return " or ".join(_TYPES[each] for each in ([types] if isinstance(types, str) else types))


_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
