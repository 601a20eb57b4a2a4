"""One value of a client's settings.json, its path, and its provenance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from mirrorfleet.config import Developers
from mirrorfleet.planning.provenance import Provenance

Path = tuple[str, ...]
"""A path in settings.json, for example ``("env", "API_TIMEOUT_MS")``."""


class Setting(NamedTuple):
    """A value of a client's settings, and its provenance."""

    value: Any
    provenance: Provenance


Settings = Iterator[tuple[Path, Setting]]


def group_key(group: Developers, key: str) -> str:
    """Return the dotted key of a developer group in the fleet file."""
    return f"developers.{group.name}.{key}"
