"""The reference of the fleet file, made from its schema: docs/reference.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fleet.shape import resolve, validator

HEAD = """\
# Reference of the fleet file

Made from [the schema](../schemas/fleet.schema.json) by `python -m fleet schema --reference`.
How the parts go together is told in [fleet-file.md](fleet-file.md).
"""

Schema = dict[str, Any]


def markdown() -> str:
    """Return the page: one table per part of the file."""
    schema: Schema = dict(validator().schema)  # type: ignore[arg-type]
    parts = list(_part("The file", schema))
    return "\n".join([HEAD, *parts])


def _part(title: str, schema: Schema) -> Iterator[str]:
    """Yield a table of a mapping's keys, and after it the mappings below."""
    yield f"## {title}\n"
    if said := schema.get("description"):
        yield f"{said}\n"
    required = set(schema.get("required", ()))
    yield "| key | is | meaning |\n|---|---|---|"
    below: list[tuple[str, Schema]] = []
    for name, each in schema.get("properties", {}).items():
        if each is True:
            continue
        inner = resolve(each)
        must = " **required**" if name in required else ""
        yield f"| `{name}`{must} | {_kind(inner)} | {_meaning(inner)} |"
        below += _below(name if title == "The file" else f"{title}.{name}", inner)
    yield ""
    for inner_title, inner in below:
        yield from _part(inner_title.removeprefix("`").removesuffix("`"), inner)


def _below(path: str, schema: Schema) -> list[tuple[str, Schema]]:
    """Return the mappings that a key's value holds and that deserve a table of their own."""
    if "writeOnly" in schema:
        return []
    if "properties" in schema and "oneOf" not in schema:
        return [(path, schema), *_variants(path, schema)]
    entry = schema.get("additionalProperties")
    if isinstance(entry, dict):
        name = {"models": "model", "hosts": "host", "developers": "group"}.get(path, "name")
        for branch in ("then", "else"):
            if branch in entry:
                return [
                    each
                    for side in ("else", "then")
                    for each in _below(f"{path}.<{name}>", resolve(entry[side]))
                ]
        return _below(f"{path}.<{name}>", resolve(entry))
    return []


def _variants(path: str, schema: Schema) -> list[tuple[str, Schema]]:
    """Return the parts that hold for one engine or provider only."""
    found = []
    for rule in schema.get("allOf", ()):
        [(key, value)] = rule["if"]["properties"].items()
        found.append((f"{path} with {key}: {value['const']}", resolve(rule["then"])))
    return found


def _kind(schema: Schema) -> str:
    if "writeOnly" in schema:
        return "secret"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "oneOf" in schema and "type" not in schema:
        return " or ".join(dict.fromkeys(_kind(resolve(each)) for each in schema["oneOf"]))
    kind = schema.get("type", "mapping")
    if isinstance(kind, list):
        return " or ".join(NAMES[each] for each in kind)
    if kind == "array":
        return f"list of {_kind(resolve(schema.get('items', {})))}"
    limits = [
        f"{word} {schema[limit]}"
        for limit, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
        if limit in schema
    ]
    return " ".join([NAMES[kind], *limits])


NAMES = {
    "object": "mapping",
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
}


def _meaning(schema: Schema) -> str:
    said = [schema.get("description", "")]
    if "default" in schema:
        said.append(f"Default: `{json.dumps(schema['default'])}`.")
    if schema.get("examples") and "writeOnly" not in schema:
        said.append(f"For example `{json.dumps(schema['examples'][0])}`.")
    return " ".join(filter(None, said)).replace("|", "\\|")
