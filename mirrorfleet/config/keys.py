"""The keys of developers: what they are derived from, and what is said of one person's alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mirrorfleet.config.reader import Secret, Section

HOUR = 3600
UNITS = {"h": HOUR, "d": 24 * HOUR}


@dataclass(frozen=True)
class OwnKey:
    """One person's key; ``None`` and no models are for what is not said."""

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


def keys(said: Section) -> Keys:
    grace = said.get("grace", "7d")
    return Keys(
        root=said.secret("root"),
        rotation=said.get("rotation", 1),
        grace=int(grace[:-1]) * UNITS[grace[-1]],
        people={each.name: _own(each) for each in said.section("people").sections()},
        revoked=said.words("revoked"),
    )


def _own(said: Section) -> OwnKey:
    return OwnKey(
        key=said.secret("key"),
        rotation=said.get("rotation", 1),
        expires=said.get("expires"),
        models=said.words("models"),
    )
