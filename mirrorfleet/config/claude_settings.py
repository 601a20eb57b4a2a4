"""Settings by release of Claude Code: schemas/claude-settings-VERSION.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from mirrorfleet.config import reading
from mirrorfleet.config.lock_files import Locks, known_file
from mirrorfleet.config.problems import Key

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
        # Only for a fleet with settings: it imports jsonschema, which is slow.
        from mirrorfleet.config.claude_settings_errors import mistakes

        return mistakes(self.settings[name], value)

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
