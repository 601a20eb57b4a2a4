"""How many connections the gateways may open to their database."""

from __future__ import annotations

from mirrorfleet.config import Fleet

RESERVE = 10
"""Connections beside those of the gateways: three that Postgres keeps for its superuser, those of
migrations and backups, and whoever looks."""


def connections(fleet: Fleet) -> int:
    """Return how many connections the gateways may open at most, and the reserve."""
    gateway = fleet.gateway
    assert gateway and gateway.database and gateway.workers != "auto", "the check wants a number"
    pools = len(gateway.hosts) * gateway.workers
    return gateway.database.connection_pool_limit * pools + RESERVE
