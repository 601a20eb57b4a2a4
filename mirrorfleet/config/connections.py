"""The number of connections that the gateways may open to their database."""

from __future__ import annotations

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import checked

RESERVE = 10
"""Connections besides those of the gateways: three that Postgres reserves for its superuser, those
of migrations and backups, and some for people."""


def connections(fleet: Fleet) -> int:
    """Return the most connections of all gateways together, plus the reserve.

    Raises ``Unchecked`` for ``workers: auto``, which has no limit.
    """
    gateway = checked(fleet.gateway, "gateway")
    database = checked(gateway.database, "gateway.database")
    workers = checked(None if gateway.workers == "auto" else gateway.workers, "gateway.workers")
    return database.connection_pool_limit * len(gateway.hosts) * workers + RESERVE
