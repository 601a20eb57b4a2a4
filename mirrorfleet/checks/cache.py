"""A cache of answers without its store."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway and gateway.cache and gateway.cache.store == "redis" and not gateway.redis:
        yield fleet.document.problem(
            ("gateway", "cache", "store"),
            "is redis, but the gateways have no Redis.",
            "Add gateway.redis, or write store: memory.",
            given=(("gateway", "redis"),),
        )
