"""The Postgres of the gateways, with LiteLLM's own keys, budgets and teams."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Secret, Section


@dataclass(frozen=True)
class Backups:
    """Days to keep a backup, and the time of day to make one, as ``HH:MM``."""

    days: int
    at: str


@dataclass(frozen=True)
class Database:
    """An existing Postgres at ``url``, a secret, or one to ``install`` on a host of the fleet.

    ``max_connections`` is the limit of an existing one, ``None`` if the file does not have it.
    """

    url: Secret | None
    install: str | None
    port: int
    password: Secret | None
    backups: Backups
    connection_pool_limit: int
    max_connections: int | None
    spend_logs: bool


def database(section: Section) -> Database:
    """Read ``gateway.database``."""
    backups = section.mapping("backups")
    return Database(
        url=section.secret("url"),
        install=section.get("install"),
        port=section["port"],
        password=section.secret("password"),
        backups=Backups(days=backups["days"], at=backups["at"]),
        connection_pool_limit=section["connection_pool_limit"],
        max_connections=section.get("max_connections"),
        spend_logs=section["spend_logs"],
    )
