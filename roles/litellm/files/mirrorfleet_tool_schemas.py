"""Rewrite the schemas of tools with the few keywords that Ollama reads.

Ollama decodes a schema into fixed types (`ToolFunctionParameters` and `ToolProperty` of its
api/types.go). A property keeps `type`, `anyOf`, `items`, `description`, `enum`, `properties` and
`required`; everything else vanishes, and a value of another type makes the request a 400. So this
module puts each `$ref` in place, merges `allOf`, and turns `oneOf` into `anyOf`, `const` into
`enum` and boolean schemas into objects. Other keywords stay as they are.

Plain Python, without LiteLLM. Input is never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

Json = dict[str, Any]

MOST = 2000
"""Maximum subschemas of a rewritten schema: references can multiply."""

COPIED = 1_000_000
"""Maximum size of what references add to the tools of one request, in characters.

Without it, a request of 200 KB can become one of gigabytes. No window has room for more.
"""

DEEPEST = 40
"""Maximum depth of a rewritten schema."""


def mended(tools: list[Json]) -> tuple[list[Json], bool]:
    """Return tools with schemas that Ollama can read, and whether any changed."""
    room = Room(COPIED)
    found = [_tool(tool, room) for tool in tools]
    changed = found != tools
    return (found if changed else tools), changed


class Room:
    """The room for copies of what references name, in characters."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, value: Any) -> bool:
        """Return whether there is room for a copy. Once there is none, there is none for any."""
        rest = [value]
        while rest and self.left >= 0:
            part = rest.pop()
            if isinstance(part, str):
                self.left -= len(part)
            elif isinstance(part, dict):
                self.left -= sum(map(len, part))
                rest.extend(part.values())
            elif isinstance(part, list):
                rest.extend(part)
            self.left -= 2
        return self.left >= 0


def _tool(tool: Any, room: Room) -> Any:
    if not isinstance(tool, dict) or "input_schema" not in tool:
        return tool
    return {**tool, "input_schema": parameters(tool["input_schema"], room)}


def parameters(schema: Any, room: Room) -> Json:
    """Return the schema of a tool's parameters as Ollama reads it."""
    if not isinstance(schema, dict):
        return {"type": "object", "properties": {}}
    found = _Rewriter(schema, room).property(schema, 0, ()) or {}
    if parts := found.pop("anyOf", ()):
        # Ollama drops alternatives of all parameters: each of them becomes an optional one.
        found["properties"] = _properties([found, *parts])
    if not isinstance(found.get("type"), str):
        found["type"] = "object"
    if any(name in schema for name in ("$defs", "definitions")):
        found = {key: value for key, value in found.items() if key not in ("$defs", "definitions")}
    return found


class _Rewriter:
    """Rewrite the subschemas of one schema, with a limit on their number and on copies."""

    def __init__(self, root: Json, room: Room) -> None:
        self.root = root
        self.room = room
        self.count = 0

    def property(self, schema: Any, depth: int, inside: tuple[str, ...]) -> Json | None:
        """Return a subschema; ``None`` for one that allows no value.

        ``inside``: the references that led here.
        """
        if schema is False:
            return None
        if not isinstance(schema, dict):
            return {}
        self.count += 1
        if self.count > MOST or depth > DEEPEST:
            return _outline(schema)
        if "$ref" in schema:
            return self._referenced(schema, depth, inside)
        found = {key: value for key, value in schema.items() if key not in ("allOf", "oneOf")}
        self._subschemas(found, depth, inside)
        if parts := self._each(schema.get("allOf"), depth, inside):
            found = _merged(found, *parts)
        if alternatives := self._each(schema.get("oneOf"), depth, inside):
            found["anyOf"] = [*found.get("anyOf", ()), *alternatives]
        if "const" in found:
            found.setdefault("enum", [found.pop("const")])
        return _typed(found)

    def _referenced(self, schema: Json, depth: int, inside: tuple[str, ...]) -> Json | None:
        name = schema["$ref"]
        siblings = {key: value for key, value in schema.items() if key != "$ref"}
        target = _resolved(self.root, name) if isinstance(name, str) else None
        is_recursive = name in inside
        if is_recursive:
            target = _outline(target) if isinstance(target, dict) else {}
        if target is None or not self.room.take(target):
            return self.property(siblings, depth + 1, inside)
        found = target if is_recursive else self.property(target, depth + 1, (*inside, name))
        own = self.property(siblings, depth + 1, inside) or {}
        return None if found is None else _merged(own, found)

    def _subschemas(self, found: Json, depth: int, inside: tuple[str, ...]) -> None:
        if "properties" in found:
            given = found["properties"]
            parts = {
                str(name): self.property(part, depth + 1, inside)
                for name, part in (given.items() if isinstance(given, dict) else ())
            }
            found["properties"] = {name: part for name, part in parts.items() if part is not None}
        if "anyOf" in found:
            found["anyOf"] = self._each(found["anyOf"], depth, inside)
        items = found.get("items")
        if isinstance(items, list):
            found["items"] = {"anyOf": self._each(items, depth, inside)}
        elif items is not None:
            found["items"] = self.property(items, depth + 1, inside) or {}

    def _each(self, schemas: Any, depth: int, inside: tuple[str, ...]) -> list[Json]:
        parts = schemas if isinstance(schemas, list) else []
        found = [self.property(part, depth + 1, inside) for part in parts]
        return [part for part in found if part is not None]


def _resolved(root: Json, reference: str) -> Any:
    """Return the target of a reference within a schema; ``None`` if there is none."""
    if not reference.startswith("#"):
        return None
    target: Any = root
    for step in reference[1:].split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        is_number = name.isdecimal() and len(name) < 10
        if isinstance(target, list) and is_number and int(name) < len(target):
            target = target[int(name)]
        elif isinstance(target, dict) and name in target:
            target = target[name]
        else:
            return None
    return target


def _outline(schema: Json) -> Json:
    """Return a schema without its subschemas: for a recursive or a very large one."""
    return _typed({key: schema[key] for key in schema if key in ("type", "description")})


def _merged(*schemas: Json) -> Json:
    """Return a schema for values that fit all; where they differ, the first one wins."""
    found: Json = {}
    for schema in reversed(schemas):
        found.update(schema)
    if "properties" in found:
        found["properties"] = _properties(schemas)
    names = (name for schema in schemas for name in schema.get("required", ()))
    if required := list(dict.fromkeys(names)):
        found["required"] = required
    return found


def _properties(schemas: Sequence[Json]) -> Json:
    """Return the properties of all schemas; the first of the same name wins."""
    found: Json = {}
    for schema in reversed(schemas):
        found.update(schema.get("properties", {}))
    return found


def _typed(schema: Json) -> Json:
    """Return a schema without keywords whose values Ollama cannot decode."""
    found = dict(schema)
    kind = found.get("type")
    if isinstance(kind, list):
        found["type"] = [part for part in kind if isinstance(part, str)]
    if not isinstance(kind, str | list) or not found["type"]:
        found.pop("type", None)
    if "required" in found:
        names = found["required"] if isinstance(found["required"], list) else []
        found["required"] = [name for name in names if isinstance(name, str)]
    if not isinstance(found.get("enum", []), list):
        del found["enum"]
    if not isinstance(found.get("description", ""), str):
        found["description"] = str(found["description"])
    return found
