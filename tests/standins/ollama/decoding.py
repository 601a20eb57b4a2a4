"""What Ollama accepts of a request to /v1/messages, and what it keeps of tools.

As in anthropic/anthropic.go and api/types.go of Ollama 0.33: a schema is decoded into fixed types,
so other keywords vanish, and values of other types are errors.
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

NO_PROJECTOR = (
    "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"
)
"""The error of llama-server for an image, which Ollama repeats as it is: JSON in JSON."""


class Invalid(Exception):
    """A request that Ollama answers with 400."""


def check_images(messages: list[Json], has_vision: bool) -> None:
    """Raise ``Invalid`` for an image that cannot be read."""
    for message in messages:
        for block in _blocks(message["content"]):
            for part in (block, *_blocks(block.get("content"))):
                if part.get("type") != "image":
                    continue
                if (kind := part["source"]["type"]) != "base64":
                    raise Invalid(
                        f"invalid image source type: {kind}. Only base64 images are supported."
                    )
                if not has_vision:
                    error = {
                        "code": 400,
                        "message": NO_PROJECTOR,
                        "type": "invalid_request_error",
                    }
                    raise Invalid(json.dumps({"error": error}))


def _blocks(content: Any) -> list[Json]:
    return [block for block in content if isinstance(block, dict)] if content else []


def parameters(tool: Json) -> Json:
    """Return what Ollama keeps of a tool's schema. Raises ``Invalid``."""
    schema = tool.get("input_schema", {})
    try:
        _need(schema, dict, "ToolFunctionParameters")
        found = {"type": _need(schema.get("type", ""), str, "string")}
        found |= {name: schema[name] for name in ("$defs", "items") if name in schema}
        if required := _names(schema.get("required")):
            found["required"] = required
        found["properties"] = _properties(schema.get("properties"))
    except Invalid as invalid:
        name = tool["name"]
        raise Invalid(f'invalid input_schema for tool "{name}": json: {invalid}') from None
    return found


def _properties(schemas: Any) -> Json | None:
    if schemas is None:
        return None
    return {name: _property(part) for name, part in _need(schemas, dict, "properties").items()}


def _property(schema: Any) -> Json:
    _need(schema, dict, "ToolProperty")
    found: Json = {}
    if parts := _need(schema.get("anyOf") or [], list, "[]ToolProperty"):
        found["anyOf"] = [_property(part) for part in parts]
    if (kind := schema.get("type")) is not None:
        found["type"] = kind if isinstance(kind, str) else _names(kind)
    if "items" in schema:
        found["items"] = schema["items"]
    if description := _need(schema.get("description") or "", str, "string"):
        found["description"] = description
    if values := _need(schema.get("enum") or [], list, "[]interface {}"):
        found["enum"] = values
    if "properties" in schema:
        found["properties"] = _properties(schema["properties"])
    if required := _names(schema.get("required")):
        found["required"] = required
    return found


def _names(value: Any) -> list[str]:
    return [_need(name, str, "string") for name in _need(value or [], list, "[]string")]


def _need(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        was = {bool: "bool", list: "array", dict: "object", str: "string"}
        raise Invalid(
            f"cannot unmarshal {was.get(type(value), 'number')} into Go value of type api.{name}"
        )
    return value
