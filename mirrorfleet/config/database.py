"""The Postgres of the gateways, with LiteLLM's own keys, budgets and teams."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Secret, Section


@dataclass(frozen=True)
class Backups:
    """How many days a backup is kept, and at which time of the day one is made."""

    days: int
    at: str


@dataclass(frozen=True)
class Database:
    """Somebody's Postgres, at a ``url`` that is a secret, or ours on a host of the fleet,
    ``install``. ``max_connections`` is what somebody's admits, where that is said."""

    url: Secret | None
    install: str | None
    port: int
    password: Secret | None
    backups: Backups
    connection_pool_limit: int
    max_connections: int | None
    spend_logs: bool


def database(said: Section) -> Database:
    backups = said.section("backups")
    return Database(
        url=said.secret("url"),
        install=said.get("install"),
        port=said.get("port", 5432),
        password=said.secret("password"),
        backups=Backups(days=backups.get("days", 14), at=backups.get("at", "03:15")),
        connection_pool_limit=said.get("connection_pool_limit", 10),
        max_connections=said.get("max_connections"),
        spend_logs=said.get("spend_logs", False),
    )
