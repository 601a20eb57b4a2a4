"""The provenance of a plan's values: keys of the fleet file, and a reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Provenance:
    """``keys``: dotted keys of the fleet file, the deciding one first.

    In a key, ``{name}`` is a field of the same plan or of an outer one: ``{model}``, ``{user}``,
    ``{group}``, ``{host}``. ``*`` is each model of the same engine and host that has the key.
    Escape names from the file with ``literal``. ``reason``: what the keys do not explain.
    """

    keys: tuple[str, ...]
    reason: str = ""


def literal(name: str) -> str:
    """Return a name of the fleet file for use in a key, with its braces escaped."""
    return name.replace("{", "{{").replace("}", "}}")


def derived_from(*keys: str, reason: str = "") -> Any:
    """Return a dataclass field of a plan with its provenance."""
    return field(metadata={"provenance": Provenance(keys, reason)})
