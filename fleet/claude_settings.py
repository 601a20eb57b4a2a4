"""The settings that a release of Claude Code knows: schemas/claude-settings-VERSION.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parent.parent / "schemas"

OWN = ("ANTHROPIC_", "CLAUDE_", "DISABLE_", "OTEL_")
"""Variables with these beginnings are meant for the client; others may be for what it starts."""


@dataclass(frozen=True)
class Release:
    """What one release knows. ``managed_only`` are settings that it reads as policy alone."""

    settings: Mapping[str, Any]
    environment: frozenset[str]

    def managed_only(self, name: str) -> bool:
        return bool(self.settings[name].get("managedOnly"))

    def fits(self, name: str, value: Any) -> bool:
        """Is the value of the type that the client wants, as far as that is known?"""
        return Draft202012Validator(self.settings[name]).is_valid(value)

    def misspelt(self, variable: str) -> bool:
        """Is this no variable of the client, and meant to be one?"""
        if variable in self.environment:
            return False
        close = get_close_matches(variable, self.environment, n=1, cutoff=0.9)
        return variable.startswith(OWN) or bool(close)


def releases() -> list[str]:
    """Return the versions whose settings are known."""
    return sorted(path.stem.removeprefix(PREFIX) for path in SCHEMAS.glob(f"{PREFIX}*.json"))


PREFIX = "claude-settings-"


@cache
def release(version: str) -> Release | None:
    """Return what a version knows, or ``None`` where nobody has looked."""
    path = SCHEMAS / f"{PREFIX}{version}.json"
    if not path.is_file():
        return None
    properties = json.loads(path.read_text(encoding="utf-8"))["properties"]
    return Release(properties, frozenset(properties["env"]["known"]))
