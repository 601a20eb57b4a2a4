"""Whether a value fits a part of the schema: yes or no, for the keywords that our schema has.

A file without mistakes needs no more, and then jsonschema is not imported: that takes as long as
ten connections. jsonschema decides where this module cannot, and it finds the errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from unicodedata import category

Schema = dict[str, Any]


class Undecided(Exception):
    """The schema has a keyword that this module does not know."""


def fits(root: Schema, schema: Any, value: Any) -> bool:
    """Return whether a value is valid by a part of the schema ``root``.

    It is as strict as `schema_validator.py`. Raises ``Undecided`` for other keywords.
    """
    if isinstance(schema, bool):
        return schema
    for keyword, rule in schema.items():
        if (check := CHECKS.get(keyword)) and not check(root, schema, rule, value):
            return False
        if keyword in UNKNOWN:
            raise Undecided(keyword)
    return True


def matches(pattern: str, value: str) -> bool:
    """Return whether a string has a pattern. A line break does not pass for its end."""
    return bool(re.search(pattern, value)) and not value.endswith("\n")


def has_control(schema: Mapping[str, Any], value: str) -> bool:
    """Return whether a string has control characters that the schema does not allow."""
    if value.isprintable():
        return False
    allowed = "\n\t" if schema.get("multiline") else ""
    return any(each not in allowed and category(each) in CONTROLS for each in value)


CONTROLS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories: control characters, surrogates, line and paragraph separators."""


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": is_integer,
    "number": _is_number,
    "null": lambda value: value is None,
}


def _reference(root: Schema, _: Schema, rule: str, value: Any) -> bool:
    place, name = rule.rsplit("/", 1)
    if place != "#/$defs":
        raise Undecided(rule)
    return fits(root, root["$defs"][name], value)


def _type(_: Schema, schema: Schema, rule: str | list[str], value: Any) -> bool:
    if isinstance(rule, list):
        return any(TYPES[kind](value) for kind in rule)
    return TYPES[rule](value) and not (rule == "string" and has_control(schema, value))


def _properties(root: Schema, _: Schema, rule: Schema, value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    return all(fits(root, part, value[name]) for name, part in rule.items() if name in value)


def _others(root: Schema, schema: Schema, rule: Any, value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    known = schema.get("properties", {})
    return all(fits(root, rule, each) for name, each in value.items() if name not in known)


def _names(root: Schema, _: Schema, rule: Any, value: Any) -> bool:
    return not isinstance(value, dict) or all(fits(root, rule, name) for name in value)


def _items(root: Schema, _: Schema, rule: Any, value: Any) -> bool:
    return not isinstance(value, list) or all(fits(root, rule, each) for each in value)


def _if(root: Schema, schema: Schema, rule: Any, value: Any) -> bool:
    outcome = "then" if fits(root, rule, value) else "else"
    return fits(root, schema.get(outcome, True), value)


def _unique(_: Schema, __: Schema, rule: bool, value: Any) -> bool:
    if not rule or not isinstance(value, list):
        return True
    if all(isinstance(each, str) for each in value):
        return len(set(value)) == len(value)
    return not any(same(each, other) for at, each in enumerate(value) for other in value[:at])


def same(one: Any, other: Any) -> bool:
    """Return whether two values of a document are equal; true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _length(
    kind: type[str] | type[list[Any]] | type[dict[str, Any]], is_valid: Callable[[int, int], bool]
) -> Check:
    """Return the check of a limit for the length of strings, lists or mappings."""
    return lambda _, __, rule, value: not isinstance(value, kind) or is_valid(len(value), rule)


def _number(is_valid: Callable[[float, float], bool]) -> Check:
    """Return the check of a limit for numbers."""
    return lambda _, __, rule, value: not _is_number(value) or is_valid(value, rule)


Check = Callable[[Schema, Schema, Any, Any], bool]
"""Gets the whole schema, the part with a keyword, the keyword's value, and the value to check."""

CHECKS: Mapping[str, Check] = {
    "$ref": _reference,
    "type": _type,
    "enum": lambda _, __, rule, value: any(same(each, value) for each in rule),
    "const": lambda _, __, rule, value: same(rule, value),
    "pattern": lambda _, __, rule, value: not isinstance(value, str) or matches(rule, value),
    "minimum": _number(lambda value, limit: value >= limit),
    "exclusiveMinimum": _number(lambda value, limit: value > limit),
    "maximum": _number(lambda value, limit: value <= limit),
    "minLength": _length(str, int.__ge__),
    "maxLength": _length(str, int.__le__),
    "minItems": _length(list, int.__ge__),
    "maxItems": _length(list, int.__le__),
    "uniqueItems": _unique,
    "items": _items,
    "minProperties": _length(dict, int.__ge__),
    "maxProperties": _length(dict, int.__le__),
    "required": lambda _, __, rule, value: (
        not isinstance(value, dict) or all(name in value for name in rule)
    ),
    "properties": _properties,
    "additionalProperties": _others,
    "propertyNames": _names,
    "oneOf": lambda root, _, rule, value: sum(fits(root, each, value) for each in rule) == 1,
    "anyOf": lambda root, _, rule, value: any(fits(root, each, value) for each in rule),
    "allOf": lambda root, _, rule, value: all(fits(root, each, value) for each in rule),
    "not": lambda root, _, rule, value: not fits(root, rule, value),
    "if": _if,
}

UNKNOWN = frozenset(
    (
        *("$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "patternProperties", "prefixItems"),
        *("contains", "minContains", "maxContains", "dependentRequired", "dependentSchemas"),
        *("exclusiveMaximum", "multipleOf", "unevaluatedItems", "unevaluatedProperties", "format"),
    )
)
"""Other keywords of JSON Schema, which only the schema of an own engine can have."""
