"""The database of the gateways: its server, its schema, and the connections to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.config import Fleet, Secret
from mirrorfleet.config.connections import connections
from mirrorfleet.config.problems import checked
from mirrorfleet.planning.provenance import derived_from

POOLS = (
    "connection_pool_limit (10 if unset) x workers x gateways, and 10 for backups, migrations and "
    "administration; the least that a database of your own must allow"
)


@dataclass(frozen=True)
class PostgresPlan:
    """A Postgres on a host of the fleet. ``days``, ``at``: retention and time of its backups."""

    listen: str = derived_from(
        "hosts.{host}.address", reason="the address that the gateways connect to"
    )
    port: int = derived_from("gateway.database.port")
    password: Secret = derived_from("gateway.database.password")
    allowed_sources: tuple[str, ...] = derived_from(
        "gateway.hosts", reason="their addresses, and no other"
    )
    max_connections: int = derived_from(
        "gateway.database.connection_pool_limit", "gateway.workers", "gateway.hosts", reason=POOLS
    )
    days: int = derived_from("gateway.database.backups.days")
    at: str = derived_from("gateway.database.backups.at")


@dataclass(frozen=True)
class MigrationsPlan:
    """The migrations of LiteLLM's database schema.

    They run on the host of the database or, with a ``url``, on the first gateway.
    """

    version: str = derived_from(
        "gateway.version", reason="the release whose schema the database gets"
    )
    lock: Path = derived_from("gateway.version", reason="the project's, else the shipped one")
    url: Secret | None = derived_from("gateway.database.url")
    port: int = derived_from("gateway.database.port")
    salt_key: Secret = derived_from(
        "gateway.salt_key", reason="the database stores a digest of its salt key"
    )
    max_connections: int = derived_from(
        "gateway.database.connection_pool_limit", "gateway.workers", "gateway.hosts", reason=POOLS
    )


@dataclass(frozen=True)
class DatabasePlan:
    """How a gateway connects to its database: with ``url``, or with host, port and password."""

    url: Secret | None = derived_from("gateway.database.url")
    host: str = derived_from("gateway.database.install", reason="the address of that host")
    port: int = derived_from("gateway.database.port")
    password: Secret | None = derived_from("gateway.database.password")
    connection_pool_limit: int = derived_from("gateway.database.connection_pool_limit")
    spend_logs: bool = derived_from("gateway.database.spend_logs")
    salt_key: Secret = derived_from("gateway.salt_key")


def postgres(fleet: Fleet) -> dict[str, PostgresPlan]:
    """Derive the Postgres that Mirrorfleet installs, by host."""
    gateway = fleet.gateway
    database = gateway.database if gateway else None
    if gateway is None or database is None or database.install is None:
        return {}
    return {
        database.install: PostgresPlan(
            listen=fleet.hosts[database.install].address,
            port=database.port,
            password=checked(database.password, "gateway.database.password"),
            allowed_sources=tuple(fleet.hosts[name].address for name in gateway.hosts),
            max_connections=connections(fleet),
            days=database.backups.days,
            at=database.backups.at,
        )
    }


def migrations(fleet: Fleet) -> dict[str, MigrationsPlan]:
    """Derive the migrations of the database schema, by host."""
    gateway = fleet.gateway
    if gateway is None or gateway.database is None:
        return {}
    database = gateway.database
    return {
        database.install or gateway.hosts[0]: MigrationsPlan(
            version=gateway.version,
            lock=fleet.locks.path("litellm", gateway.version),
            url=database.url,
            port=database.port,
            salt_key=checked(gateway.salt_key, "gateway.salt_key"),
            max_connections=connections(fleet),
        )
    }


def connection(fleet: Fleet) -> DatabasePlan | None:
    """Return how gateways connect to their database; ``None`` if they have none."""
    gateway = fleet.gateway
    if gateway is None or gateway.database is None:
        return None
    database = gateway.database
    return DatabasePlan(
        url=database.url,
        host=fleet.hosts[database.install].address if database.install else "",
        port=database.port,
        password=database.password,
        connection_pool_limit=database.connection_pool_limit,
        spend_logs=database.spend_logs,
        salt_key=checked(gateway.salt_key, "gateway.salt_key"),
    )
