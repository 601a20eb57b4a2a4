"""Problems of the gateways' database: its place, client, salt key, limits and connections."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks.gateway import PROCESSES
from mirrorfleet.config import Fleet, Gateway
from mirrorfleet.config.addresses import is_public
from mirrorfleet.config.connections import RESERVE, connections
from mirrorfleet.config.database import Database
from mirrorfleet.config.problems import Key, Problem

KEY: Key = ("gateway", "database")

INSTALLED_ONLY = ("port", "password", "backups")
"""Keys for a Postgres that Mirrorfleet installs; for another one, its URL has these values."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway is None:
        return
    if gateway.database is None:
        if gateway.salt_key and not fleet.document.says("gateway", "database"):
            yield fleet.document.problem(
                ("gateway", "salt_key"),
                "encrypts data in a database, and the gateway has none.",
                "Add gateway.database, or remove it.",
            )
        return
    yield from _place(fleet, gateway.database)
    yield from _client(fleet, gateway)
    yield from _salt_key(fleet, gateway)
    yield from _shared(fleet, gateway)
    yield from _pools(fleet, gateway, gateway.database)


def _place(fleet: Fleet, database: Database) -> Iterator[Problem]:
    config = fleet.document.data["gateway"]["database"]
    if ("url" in config) == ("install" in config):
        yield fleet.document.problem(
            KEY,
            "has both 'url' and 'install'." if "url" in config else "needs 'url' or 'install'.",
            "For a database of your own, write url: {env: NAME}; for a new one, install: HOST.",
        )
        return
    unused = INSTALLED_ONLY if "url" in config else ("max_connections",)
    for name in unused:
        if name in config:
            yield fleet.document.problem(
                (*KEY, name),
                "applies only with 'install'." if "url" in config else "is derived with 'install'.",
                "Remove it.",
            )
    if database.install:
        yield from _installed(fleet, database)


def _installed(fleet: Fleet, database: Database) -> Iterator[Problem]:
    """Yield problems of a Postgres that Mirrorfleet installs."""
    if database.password is None:
        yield fleet.document.problem(
            KEY, "needs a 'password'.", "Add one, for example password: {env: POSTGRES_PASSWORD}."
        )
    host = fleet.hosts.get(database.install or "")
    if host and is_public(host.address):
        yield fleet.document.problem(
            (*KEY, "install"),
            f"listens on the public address {host.address} without TLS.",
            "Choose a host with a private address.",
        )


def _client(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    if gateway.runtime != "docker":
        yield fleet.document.problem(
            KEY,
            "needs LiteLLM's database client, which no lock file can pin: only its vendor "
            "distributes it.",
            "Write runtime: docker, with an 'image' of LiteLLM that contains the client.",
            given=(("gateway", "runtime"),),
        )


def _salt_key(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    if gateway.salt_key is None:
        yield fleet.document.problem(
            KEY,
            "needs gateway.salt_key: otherwise the master key encrypts the data, and you can never "
            "change it.",
            "Add gateway.salt_key, and never change it.",
        )


def _shared(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    """Yield a problem if several processes have no Redis to share limits and deleted keys."""
    if gateway.processes > 1 and gateway.redis is None:
        yield fleet.document.problem(
            KEY,
            f"needs gateway.redis: without it, limits of keys apply to each of {gateway.processes} "
            "or more processes separately, and the other processes still accept a deleted key.",
            "Add gateway.redis.",
            given=PROCESSES,
        )


def _pools(fleet: Fleet, gateway: Gateway, database: Database) -> Iterator[Problem]:
    if gateway.workers == "auto":
        yield fleet.document.problem(
            ("gateway", "workers"),
            "is auto, but with a database it must be a number: it determines how many connections "
            "the database needs.",
            "Write a number, for example workers: 4.",
        )
        return
    most, needed = database.max_connections, connections(fleet)
    if database.install is None and most and needed > most:
        pools = len(gateway.hosts) * gateway.workers
        fits = (most - RESERVE) // pools if pools else 0
        yield fleet.document.problem(
            (*KEY, "max_connections"),
            f"is {most}, but the gateways need {needed}: gateways ({len(gateway.hosts)}) x workers "
            f"({gateway.workers}) x connection_pool_limit ({database.connection_pool_limit}), and "
            f"{RESERVE} in reserve.",
            f"Write connection_pool_limit: {fits} or less."
            if fits > 0
            else "Use fewer workers, or a connection pooler.",
        )
