"""The schema that editors read: it also accepts bases and overlays, and completes more.

`check` validates the merged fleet. An editor sees one file, which may be a part of it: keys may be
missing, and null removes a key of a base. So nothing is required here.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from mirrorfleet import lock_folders
from mirrorfleet.config import claude_settings
from mirrorfleet.config.schema import resolve, root
from mirrorfleet.config.shorthand import COUNT, EXTENSION
from mirrorfleet.data import table

Schema = dict[str, Any]

OWN = ("completes", "tokens", "fromFile", "multiline", "inapplicable", "writeOnly")
"""Keywords of Mirrorfleet's schema that mean something else, or nothing, to an editor."""

WORDS = {
    word.lower(): word
    for word in ("API", "CA", "CUDA", "DNS", "GPU", "GPUs", "ID", "MCP", "NVIDIA", "SSH", "TLS")
} | {"url": "URL", "litellm": "LiteLLM", "redis": "Redis"}


def text() -> str:
    """Return the schema as JSON, with a line for each of its parts."""
    found = schema()
    parts = _lines(found.pop("$defs"))
    return f'{{\n{_lines(found)},\n"$defs": {{\n{parts}\n}}\n}}\n'


def _lines(parts: Schema) -> str:
    return ",\n".join(
        f"{json.dumps(name)}: {json.dumps(part, ensure_ascii=False)}"
        for name, part in parts.items()
    )


def schema() -> Schema:
    """Return the schema for editors."""
    found = _open(root())
    found["$defs"] |= _completions()
    return found


def _open(part: Schema) -> Schema:
    """Return a part of the schema that demands no keys, and in which null is a value."""
    found: Schema = {}
    for name, value in part.items():
        match name:
            case "required":
                continue
            case _ if name in OWN:
                continue
            case "oneOf":
                branches = [resolve(each) for each in value]
                if not all("required" in each and "type" not in each for each in branches):
                    found["anyOf"] = [_open(each) for each in value]
            case "$defs":
                found[name] = {key: _open(each) for key, each in value.items()}
            case "properties":
                found[name] = {
                    key: _property(key, each) if isinstance(each, dict) else each
                    for key, each in value.items()
                }
            case "additionalProperties" if isinstance(value, dict):
                found[name] = {"anyOf": [_open(value), {"type": "null"}]}
            case "items" | "then" | "else" if isinstance(value, dict):
                found[name] = _open(value)
            case "allOf":
                found[name] = [_open(each) for each in value]
            case _:
                found[name] = value  # conditions too: they choose between kinds of models
    if part.get("additionalProperties") is False and "properties" in part:
        found["patternProperties"] = {f"^{EXTENSION}": True}
    return found


def _property(name: str, part: Schema) -> Schema:
    """Return the schema of a key: its value, null, and what else the file may have instead."""
    whole = resolve(part)
    ways = [_completed(part), {"type": "null"}]
    if whole.get("tokens"):
        ways.append({"type": "string", "pattern": f"^{COUNT.pattern}$"})
    if whole.get("fromFile"):
        file = {"type": "string", "description": "A file, relative to this one."}
        ways.append({"type": "object", "properties": {"file": file}, "required": ["file"]})
    about: Schema = {
        key: whole[key] for key in ("description", "default", "deprecated") if key in whole
    }
    return {"title": title(name), **about, "examples": _examples(whole), "anyOf": ways}


def _completed(part: Schema) -> Schema:
    what = part.get("completes")
    if not what:
        return _open(part)
    known = {"$ref": f"#/$defs/{what.replace(' ', '-')}"}
    if what == "families":
        return known
    # Releases with lock files of your own, and settings of other releases, are as good.
    return {"anyOf": [known, _open(part)]} if what.startswith("releases") else known


def title(name: str) -> str:
    """Return the words of a key: ``api_key`` is "API key"."""
    words = [WORDS.get(word, word) for word in name.replace("-", "_").split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _examples(part: Schema) -> list[Any]:
    if part.get("examples"):
        return list(part["examples"])
    if "else" in part:  # one of two forms, as of `gateway`
        return _examples(resolve(part["else"]))
    if "const" in part:
        return [part["const"]]
    if part.get("type") == "boolean":
        return [not part.get("default", False)]
    values = [each for each in part.get("enum", ()) if each != part.get("default")]
    return values[:1] or [part["default"]]


def _completions() -> Schema:
    locks = lock_folders.locks(Path())
    found: Schema = {
        f"releases-of-{service}": {"enum": locks.releases(service)}
        for service in ("litellm", "vllm", "claude")
    }
    found["releases-of-ollama"] = {"enum": [*table("ollama")["releases"]]}
    found["families"] = {"enum": [*table("families")]}
    found["settings-of-claude"] = _settings()
    return found


@cache
def _settings() -> Schema:
    """Return the settings of all known releases, without those that Mirrorfleet derives."""
    derived = table("claude_derived")
    properties: Schema = {}
    variables: set[str] = set()
    for version in claude_settings.releases():
        release = claude_settings.release(version)
        if release is None:
            continue
        variables |= release.environment
        for name, each in release.settings.items():
            if name not in derived["settings"] and name != "env":
                kept = {key: value for key, value in each.items() if key != "managedOnly"}
                properties[name] = {"anyOf": [kept, {"type": "null"}]}
    known = sorted(variables - derived["env"].keys())
    properties["env"] = {
        "type": ["object", "null"],
        "properties": {name: {"type": ["string", "null"]} for name in known},
        "additionalProperties": {"type": ["string", "null"]},
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}
