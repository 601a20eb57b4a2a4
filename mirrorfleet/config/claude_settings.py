"""Settings by release of Claude Code: schemas/claude-settings-VERSION.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from mirrorfleet.config import reading
from mirrorfleet.config.lock_files import Locks, known_file
from mirrorfleet.config.problems import Key, did_you_mean

SCHEMAS = Path(__file__).parent.parent / "schemas"

OWN = ("ANTHROPIC_", "CLAUDE_", "DISABLE_", "OTEL_")
"""Prefixes of variables for the client itself; others may be for programs that it starts."""


@dataclass(frozen=True)
class Release:
    """The settings and environment variables of one release, with their schemas.

    ``ids``: the model that the release requests by itself, by tier. ``capabilities``: the names
    that CLAUDE_CODE_MODEL_CAPABILITIES can have.
    """

    settings: Mapping[str, Any]
    environment: frozenset[str]
    ids: Mapping[str, str]
    capabilities: frozenset[str]

    def managed_only(self, name: str) -> bool:
        """Return whether the client reads a setting only from managed settings."""
        return bool(self.settings[name].get("managedOnly"))

    def mistakes(self, name: str, value: Any) -> Iterator[tuple[Key, str, str]]:
        """Yield each place in a value that the client would ignore, the mistake, and the fix."""
        found = list(Draft202012Validator(self.settings[name]).iter_errors(value))
        unknown = {(*error.absolute_path, error.instance) for error in found if _is_of_name(error)}
        for error in found:
            at = tuple(error.absolute_path)
            if _is_of_name(error) or not any(at[: len(key)] == key for key in unknown):
                yield from _explained(error)

    def around(self, name: str) -> str | None:
        """Return the setting that has a key of this name, if there is one."""
        holders = (
            outer
            for outer, schema in self.settings.items()
            if outer != "env" and name in schema.get("properties", {})
        )
        return next(holders, None)

    def close_variable(self, variable: str) -> str | None:
        """Return the client's variable with the most similar name, if it is close."""
        if variable in self.environment:
            return None
        close = get_close_matches(variable, self.environment, n=1, cutoff=0.88)
        return close[0] if close else None

    def foreign(self, variable: str) -> bool:
        """Return whether a variable has the prefix of the client's and is unknown to it."""
        return variable.startswith(OWN) and variable not in self.environment


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


def releases() -> list[str]:
    """Return the releases with known settings."""
    return sorted(path.stem.removeprefix(PREFIX) for path in SCHEMAS.glob(f"{PREFIX}*.json"))


PREFIX = "claude-settings-"


def release(version: str, locks: Locks | None = None) -> Release | None:
    """Return the settings of a release, ``None`` if they are not known here.

    Those in the ``locks/`` of the fleet's project win over the shipped ones.
    """
    own = known_file(locks.own, "claude", version, ".json") if locks and locks.own else None
    return read(own if own and own.is_file() else SCHEMAS / f"{PREFIX}{version}.json")


@cache
def read(path: Path) -> Release | None:
    """Read a schema that ``mirrorfleet lock`` wrote; ``None`` if it is missing or invalid."""
    try:
        content = json.loads(reading.text(path))
        properties = content["properties"]
        return Release(
            properties,
            frozenset(properties["env"]["known"]),
            content["ids"],
            frozenset(content["capabilities"]),
        )
    except (reading.Unreadable, ValueError, LookupError, TypeError):
        return None
