"""The mistakes in the settings of a developer group, by the schema of a release of Claude Code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from mirrorfleet.config.problems import Key, did_you_mean


def mistakes(schema: Mapping[str, Any], value: Any) -> Iterator[tuple[Key, str, str]]:
    """Yield each place in a value that the client would ignore, the mistake, and the fix."""
    found = list(Draft202012Validator(schema).iter_errors(value))
    unknown = {(*error.absolute_path, error.instance) for error in found if _is_of_name(error)}
    for error in found:
        at = tuple(error.absolute_path)
        if _is_of_name(error) or not any(at[: len(key)] == key for key in unknown):
            yield from _explained(error)


def _is_of_name(error: ValidationError) -> bool:
    return "propertyNames" in error.absolute_schema_path


def _explained(error: ValidationError) -> Iterator[tuple[Key, str, str]]:
    at: Key = tuple(error.absolute_path)
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    expected: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            known = schema["properties"]
            for name in sorted(set(error.instance) - set(known)):  # type: ignore[arg-type]
                yield (
                    (*at, name),
                    "is unknown to this release of Claude Code, which would ignore it.",
                    did_you_mean(name, known),
                )
        case "required":
            missing = [name for name in expected if name not in error.instance]  # type: ignore[operator]
            for name in missing[:1]:
                fix = f"Add {name}: {_kind(schema['properties'].get(name, {}))}."
                yield at, f"missing key '{name}'.", fix
        case "anyOf":
            yield from _nearest(error)
        case _ if _is_of_name(error):
            name = str(error.instance)
            yield (
                (*at, name),
                "is unknown to this release of Claude Code, which would ignore it.",
                did_you_mean(name, expected),
            )
        case _:
            yield at, f"must be {_kind(schema)}.", ""


def _nearest(error: ValidationError) -> Iterator[tuple[Key, str, str]]:
    """Explain a value that fits no alternative, by the alternative of the same type."""
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    branches = {
        at: [each for each in error.context or () if each.schema_path[0] == at]
        for at in range(len(schema["anyOf"]))
    }
    same_type = [found for found in branches.values() if not _is_of_another_kind(error, found)]
    if len(same_type) == 1:
        for each in same_type[0]:
            yield from _explained(each)
        return
    kinds = dict.fromkeys(_kind(each) for each in schema["anyOf"])
    yield tuple(error.absolute_path), f"must be {' or '.join(kinds)}.", ""


def _is_of_another_kind(error: ValidationError, found: list[ValidationError]) -> bool:
    """Return whether an alternative fails on the type, or on the key that selects it."""
    here = len(error.absolute_path)
    return any(
        (each.validator == "type" and len(each.absolute_path) == here)
        or (each.validator == "enum" and len(each.absolute_path) <= here + 1)
        for each in found
    )


def _kind(schema: Mapping[str, Any]) -> str:
    """Describe the type of a value in words."""
    if "enum" in schema:
        words = [str(each) for each in schema["enum"]]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if schema.get("type") == "array" and schema.get("items", {}).get("type") == "string":
        return "a list of strings"
    if schema.get("type") == "object" and "properties" not in schema:
        inner = schema.get("additionalProperties", {}).get("type")
        return "a mapping of names to strings" if inner == "string" else "a mapping"
    return KINDS.get(schema.get("type", ""), "something else")


KINDS = {
    "string": "a string",
    "boolean": "true or false",
    "number": "a number",
    "array": "a list",
    "object": "a mapping",
}
