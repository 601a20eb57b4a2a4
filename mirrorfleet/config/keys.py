"""Developers' API keys: the secret that they derive from, and exceptions for single people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mirrorfleet.config.reader import Secret, Section

HOUR = 3600
UNITS = {"h": HOUR, "d": 24 * HOUR}


@dataclass(frozen=True)
class OwnKey:
    """Exceptions for one person's key. ``None`` and no models stand for the group's values."""

    key: Secret | None
    rotation: int
    expires: str | None
    models: tuple[str, ...]


@dataclass(frozen=True)
class Keys:
    """``grace`` is in seconds."""

    root: Secret | None
    rotation: int
    grace: int
    people: Mapping[str, OwnKey]
    revoked: tuple[str, ...]


def keys(section: Section) -> Keys:
    """Read ``keys``."""
    grace = section["grace"]
    return Keys(
        root=section.secret("root"),
        rotation=section["rotation"],
        grace=int(grace[:-1]) * UNITS[grace[-1]],
        people={each.name: _own(each) for each in section.mapping("people").mappings()},
        revoked=section.strings("revoked"),
    )


def _own(section: Section) -> OwnKey:
    return OwnKey(
        key=section.secret("key"),
        rotation=section["rotation"],
        expires=section.get("expires"),
        models=section.strings("models"),
    )
