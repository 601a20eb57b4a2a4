"""The cache of answers at the gateways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class Cache:
    """Where answers are stored, and for how many seconds."""

    store: Literal["memory", "redis"]
    ttl: int


def cache(section: Section) -> Cache:
    """Read ``gateway.cache``."""
    return Cache(section["store"], section["ttl"])
