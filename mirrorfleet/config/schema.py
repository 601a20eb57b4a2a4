"""The JSON schema of fleet files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mirrorfleet.config import schema_fit

Schema = schema_fit.Schema

SCHEMA = Path(__file__).parent.parent / "schemas" / "fleet.schema.json"


@cache
def root() -> Schema:
    """Return the schema of a whole fleet file: fleet.schema.json, with own engines."""
    schema: Schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    engine_model = schema["$defs"]["engineModel"]
    for name, model in _own_engines.items():
        schema["$defs"][f"{name}Model"] = model
        engine_model["properties"]["engine"]["enum"].append(name)
        chosen = {"required": ["engine"], "properties": {"engine": {"const": name}}}
        engine_model["allOf"].append({"if": chosen, "then": {"$ref": f"#/$defs/{name}Model"}})
    return schema


def is_valid(data: Any, part: Schema | None = None) -> bool:
    """Return whether a value is valid by a part of the schema; by default, by all of it."""
    part = root() if part is None else part
    try:
        return schema_fit.fits(root(), part, data)
    except schema_fit.Undecided:
        from mirrorfleet.config.schema_validator import validator  # jsonschema, which is slow

        return validator().evolve(schema=part).is_valid(data)


def add_engine(name: str, model: Mapping[str, Any]) -> None:
    """Let fleet files name another engine; ``model`` is the schema of one of its models."""
    _own_engines[name] = model
    root.cache_clear()
    _resolved.clear()


_own_engines: dict[str, Mapping[str, Any]] = {}
"""The schemas of models on engines that fleet.schema.json does not know, by engine."""


_resolved: dict[int, tuple[Schema, Schema]] = {}
"""By the identity of a part of the schema: the part, and the same with its ``$ref`` resolved."""


def resolve(schema: Schema) -> Schema:
    """Return a part of the schema with its ``$ref`` resolved. Its own keywords take precedence.

    The same part has the same result, which must not be changed.
    """
    if (reference := schema.get("$ref")) is None:
        return schema
    # The entry keeps the part, so that no other one can get its identity.
    if (found := _resolved.get(id(schema))) is None:
        found = schema, {**definition(reference.rsplit("/", 1)[1]), **schema}
        _resolved[id(schema)] = _resolved[id(found[1])] = found  # its result has a $ref, too
    return found[1]


def definition(name: str) -> Schema:
    """Return a part of the schema by its name under ``$defs``."""
    found: Schema = root()["$defs"][name]
    return found


def keys(schema: Schema, data: dict[str, Any]) -> dict[str, Schema]:
    """Return the schema of each key that a mapping may have, of the alternatives that fit it."""
    found: dict[str, Schema] = {}
    for part in _parts(resolve(schema), data):
        own = part.get("properties", {})
        found |= {name: resolve(each) for name, each in own.items() if isinstance(each, dict)}
    return found


def below(schema: Schema, data: dict[str, Any], name: str) -> Schema:
    """Return the schema of the value at one key of a mapping."""
    known = keys(schema, data)
    if name in known:
        return known[name]
    others = resolve(schema).get("additionalProperties")
    return resolve(others) if isinstance(others, dict) else {}


def fixed(schema: Schema, data: dict[str, Any]) -> bool:
    """Return whether a mapping has only the keys of the schema: other keys are mistakes."""
    return any(part.get("additionalProperties") is False for part in _parts(resolve(schema), data))


def _parts(schema: Schema, data: dict[str, Any]) -> Iterator[Schema]:
    """Yield a schema of a mapping, and those that apply to it by allOf, if, or oneOf."""
    yield schema
    for rule in (*schema.get("allOf", ()), *([schema] if "if" in schema else [])):
        outcome = "then" if is_valid(data, rule["if"]) else "else"
        if outcome in rule:
            yield from _parts(resolve(rule[outcome]), data)
    for branch in map(resolve, schema.get("oneOf", ())):
        if branch.get("type") == "object" and set(branch.get("required", ())) <= data.keys():
            yield from _parts(branch, data)
