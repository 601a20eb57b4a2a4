"""Generate the reference of the fleet file from its schema: docs/reference/fleet-file.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.config.schema import resolve, root
from mirrorfleet.config.yaml_values import flow

HEAD = """\
# The fleet file

Every key of the fleet file, generated from `schemas/fleet.schema.json` by
`mirrorfleet schema --reference`. The [first fleet](../tutorials/first-fleet.md) shows how the parts
fit together.
"""

TOP = "The file"

Schema = dict[str, Any]


def markdown() -> str:
    """Return the page in Markdown: one table for each part of the file."""
    schema: Schema = dict(root())
    parts = [*_part(TOP, schema), *_part("`secret`", schema["$defs"]["secret"])]
    # Several kinds of models have the same mapping, such as `thinking`.
    sections = dict.fromkeys("\n".join(parts).split("\n## "))
    return HEAD + "\n" + "\n## ".join(sections)


def _part(title: str, schema: Schema) -> Iterator[str]:
    """Yield a table of a mapping's keys, then the tables of the mappings below it."""
    properties = {
        name: resolve(each) for name, each in schema["properties"].items() if each is not True
    }
    required = set(schema.get("required", ()))
    yield f"## {title}\n"
    if description := schema.get("description"):
        yield f"{description}\n"
    yield "| key | type | meaning |\n|---|---|---|"
    for name, each in properties.items():
        must = " **required**" if name in required else ""
        yield f"| `{name}`{must} | {_kind(each)} | {_meaning(each)} |"
    yield ""
    above = "" if title == TOP else f"{title.split('`')[1]}."
    for name, each in properties.items():
        if each.get("deprecated"):
            continue  # the present key has the table
        for inner_title, inner in _below(above + name, each):
            yield from _part(inner_title, inner)


def _below(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield title and schema of each mapping below a key that gets its own table."""
    if "writeOnly" in schema:
        return
    entry = schema.get("additionalProperties")
    if "if" in schema and "properties" not in schema and "allOf" not in schema:
        for each in map(resolve, _branches(schema)):
            also = " with `external: true`" if "external" in each["properties"] else ""
            yield f"`{path}`{also}", each
    elif "allOf" in schema:
        yield from _variants(path, schema)
    elif "properties" in schema and not isinstance(entry, dict):
        yield f"`{path}`", schema
    elif "oneOf" in schema:
        forms = [
            each
            for each in map(resolve, schema["oneOf"])
            # Hosts by their labels: docs/how-to/hosts.md explains them once.
            if each.get("properties", {}).keys() not in ({"labels"}, set())
        ]
        for form in forms:
            which = "" if len(forms) == 1 else f" with `{next(iter(form['properties']))}`"
            for _, part in _below(path, form):
                yield f"`{path}`{which}", part
    elif isinstance(entry, dict):
        name = {"models": "model", "hosts": "host", "developers": "group"}.get(path, "name")
        for each in map(resolve, _branches(entry)):
            of = " of an external gateway" if "claude" in each.get("properties", {}) else ""
            for title, part in _below(f"{path}.<{name}>", each):
                yield f"{title}{of}", part


def _branches(schema: Schema) -> Iterator[Schema]:
    """Yield the schemas of a mapping that depend on its keys, else the schema itself."""
    if "if" not in schema:
        yield schema
    for side in ("else", "then"):
        if side in schema:
            yield from _branches(schema[side])


def _variants(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield title and schema for each engine or provider, with the key that selects it."""
    for rule in schema["allOf"]:
        [(key, chosen)] = rule["if"]["properties"].items()
        own = {key: {**schema["properties"][key], "enum": [chosen["const"]]}}
        then = rule["then"]
        parts = [("", then)]
        if "else" in then:
            [at] = then["if"]["required"]
            parts = [("", then["else"]), (f" and `{at}`", then["then"])]
        for also, part in ((also, resolve(part)) for also, part in parts):
            yield (
                f"`{path}` with `{key}: {chosen['const']}`{also}",
                {**part, "properties": {**part["properties"], **own}},
            )


def _kind(schema: Schema) -> str:
    if "writeOnly" in schema and schema.get("type") != "string":
        return "secret"
    if "const" in schema:
        return f"`{flow(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "oneOf" in schema and "type" not in schema:
        return " or ".join(dict.fromkeys(_kind(resolve(each)) for each in schema["oneOf"]))
    kind = schema.get("type", "object")
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
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}


def _meaning(schema: Schema) -> str:
    meaning = [schema.get("description", "")]
    if "default" in schema:
        meaning.append(f"Default: {_shown(schema['default'])}.")
    if schema.get("examples") and "writeOnly" not in schema:
        meaning.append(f"Example: {_shown(schema['examples'][0])}.")
    return " ".join(filter(None, meaning)).replace("|", "\\|")


def _shown(value: Any) -> str:
    """Return a value as code, or the word for an empty one."""
    return "none" if value in ([], {}) else f"`{flow(value)}`"
