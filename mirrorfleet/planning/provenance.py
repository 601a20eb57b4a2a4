"""Where the values of a plan come from: keys of the fleet file, and the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Provenance:
    """``keys`` are dotted keys of the fleet file, the deciding one first.

    In a key, ``{name}`` stands for a field of the same plan or of one around it: ``{model}``,
    ``{user}``, ``{group}``, ``{host}``; ``*`` for each model of the same engine on the host
    that has the key. Names that come from the file are put in by ``literal``.
    ``reason`` says what is not plain from the key.
    """

    keys: tuple[str, ...]
    reason: str = ""


def literal(name: str) -> str:
    """Return a name of the fleet file as it stands in a key: it may hold braces itself."""
    return name.replace("{", "{{").replace("}", "}}")


def derived_from(*keys: str, reason: str = "") -> Any:
    """Declare a field of a plan together with where it comes from."""
    return field(metadata={"provenance": Provenance(keys, reason)})
