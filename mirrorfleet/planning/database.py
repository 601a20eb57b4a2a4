"""The database of the gateways: its server, where it is ours, its tables, and how it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.config import Fleet, Secret
from mirrorfleet.config.connections import connections
from mirrorfleet.config.problems import checked
from mirrorfleet.planning.provenance import derived_from

POOLS = (
    "connection_pool_limit (10 if not said) x workers x gateways, and 10 for backups, migrations "
    "and you; of a database of yours, what it must admit at the least"
)


@dataclass(frozen=True)
class PostgresPlan:
    """A Postgres on a host of the fleet."""

    listen: str = derived_from("hosts.{host}.address", reason="the address that the gateways use")
    port: int = derived_from("gateway.database.port")
    password: Secret = derived_from("gateway.database.password")
    allowed_sources: tuple[str, ...] = derived_from(
        "gateway.hosts", reason="by their addresses; nobody else"
    )
    max_connections: int = derived_from(
        "gateway.database.connection_pool_limit", "gateway.workers", "gateway.hosts", reason=POOLS
    )
    days: int = derived_from("gateway.database.backups.days")
    at: str = derived_from("gateway.database.backups.at")


@dataclass(frozen=True)
class MigrationsPlan:
    """Who makes LiteLLM's tables: the host of the database, or the first gateway if there is a
    ``url``."""

    version: str = derived_from("gateway.version", reason="whose tables the database gets")
    lock: Path = derived_from("gateway.version", reason="yours in locks/, else the shipped one")
    url: Secret | None = derived_from("gateway.database.url")
    port: int = derived_from("gateway.database.port")
    salt_key: Secret = derived_from(
        "gateway.salt_key", reason="the database remembers the digest of the one it is for"
    )
    max_connections: int = derived_from(
        "gateway.database.connection_pool_limit", "gateway.workers", "gateway.hosts", reason=POOLS
    )


@dataclass(frozen=True)
class DatabasePlan:
    """How a gateway reaches its database: by a ``url``, or with the ``password`` of ours."""

    url: Secret | None = derived_from("gateway.database.url")
    host: str = derived_from("gateway.database.install", reason="the address of that host")
    port: int = derived_from("gateway.database.port")
    password: Secret | None = derived_from("gateway.database.password")
    connection_pool_limit: int = derived_from("gateway.database.connection_pool_limit")
    spend_logs: bool = derived_from("gateway.database.spend_logs")
    salt_key: Secret = derived_from("gateway.salt_key")


def postgres(fleet: Fleet) -> dict[str, PostgresPlan]:
    """Derive the Postgres of the host that is to have one."""
    gateway = fleet.gateway
    said = gateway.database if gateway else None
    if gateway is None or said is None or said.install is None:
        return {}
    return {
        said.install: PostgresPlan(
            listen=fleet.hosts[said.install].address,
            port=said.port,
            password=checked(said.password, "gateway.database.password"),
            allowed_sources=tuple(fleet.hosts[name].address for name in gateway.hosts),
            max_connections=connections(fleet),
            days=said.backups.days,
            at=said.backups.at,
        )
    }


def migrations(fleet: Fleet) -> dict[str, MigrationsPlan]:
    """Derive who makes the tables, and which."""
    gateway = fleet.gateway
    if gateway is None or gateway.database is None:
        return {}
    said = gateway.database
    return {
        said.install or gateway.hosts[0]: MigrationsPlan(
            version=gateway.version,
            lock=fleet.locks.path("litellm", gateway.version),
            url=said.url,
            port=said.port,
            salt_key=checked(gateway.salt_key, "gateway.salt_key"),
            max_connections=connections(fleet),
        )
    }


def reached(fleet: Fleet) -> DatabasePlan | None:
    """Return how gateways reach their database, if they have one."""
    gateway = fleet.gateway
    if gateway is None or gateway.database is None:
        return None
    said = gateway.database
    return DatabasePlan(
        url=said.url,
        host=fleet.hosts[said.install].address if said.install else "",
        port=said.port,
        password=said.password,
        connection_pool_limit=said.connection_pool_limit,
        spend_logs=said.spend_logs,
        salt_key=checked(gateway.salt_key, "gateway.salt_key"),
    )
