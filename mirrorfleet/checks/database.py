"""A database that cannot be, or that would not hold what it promises."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks.gateway import PROCESSES
from mirrorfleet.config import Fleet, Gateway
from mirrorfleet.config.addresses import is_public
from mirrorfleet.config.connections import RESERVE, connections
from mirrorfleet.config.database import Database
from mirrorfleet.config.problems import Key, Problem

KEY: Key = ("gateway", "database")

OURS = ("port", "password", "backups")
"""What is said of a Postgres that is installed here; of another one, its URL says it."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway is None:
        return
    if gateway.database is None:
        if gateway.salt_key and not fleet.document.says("gateway", "database"):
            yield fleet.document.problem(
                ("gateway", "salt_key"),
                "is for what LiteLLM keeps in a database, and there is none.",
                "Add 'database', or remove it.",
            )
        return
    yield from _place(fleet, gateway.database)
    yield from _client(fleet, gateway)
    yield from _salt_key(fleet, gateway)
    yield from _shared(fleet, gateway)
    yield from _pools(fleet, gateway, gateway.database)


def _place(fleet: Fleet, database: Database) -> Iterator[Problem]:
    said = fleet.document.data["gateway"]["database"]
    if ("url" in said) == ("install" in said):
        yield fleet.document.problem(
            KEY,
            "has both 'url' and 'install'." if "url" in said else "does not say where it is.",
            "Write where the URL of yours is found as 'url', or as 'install' the host that is to "
            "get one.",
        )
        return
    wrong = OURS if "url" in said else ("max_connections",)
    for name in wrong:
        if name in said:
            yield fleet.document.problem(
                (*KEY, name),
                "is for a Postgres that is installed here; yours says it itself."
                if "url" in said
                else "is derived for a Postgres that is installed here.",
                "Remove it.",
            )
    if database.install:
        yield from _installed(fleet, database)


def _installed(fleet: Fleet, database: Database) -> Iterator[Problem]:
    """What holds of a Postgres of ours only."""
    if database.password is None:
        yield fleet.document.problem(KEY, "lets nobody in without a password.", "Add a 'password'.")
    host = fleet.hosts.get(database.install or "")
    if host and is_public(host.address):
        yield fleet.document.problem(
            (*KEY, "install"),
            f"listens on {host.address}, an address of the internet, without TLS.",
            "Use a host with a private address.",
        )


def _client(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    if gateway.runtime != "docker":
        yield fleet.document.problem(
            KEY,
            "needs LiteLLM's database client, which its vendor's server alone gives out: no lock "
            "file can pin it.",
            "Write runtime: docker, with an 'image' of LiteLLM that holds it.",
            given=(("gateway", "runtime"),),
        )


def _salt_key(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    if gateway.salt_key is None:
        yield fleet.document.problem(
            KEY,
            "has no salt_key: the master key would encrypt what is stored, and could never change.",
            "Add gateway.salt_key, and keep it for good.",
        )


def _shared(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    """What each process would count, or remember, for itself."""
    if gateway.processes > 1 and gateway.redis is None:
        yield fleet.document.problem(
            KEY,
            f"without redis, the limits of its keys hold for each of {gateway.processes} processes "
            "or more by itself, and a key that is deleted lives on in the others.",
            "Add 'redis', which they share.",
            given=PROCESSES,
        )


def _pools(fleet: Fleet, gateway: Gateway, database: Database) -> Iterator[Problem]:
    if gateway.workers == "auto":
        yield fleet.document.problem(
            ("gateway", "workers"),
            "is auto, which each host decides: how many connections the database must have for "
            "them cannot be told beforehand.",
            "Write a number.",
        )
        return
    most, needed = database.max_connections, connections(fleet)
    if database.install is None and most and needed > most:
        pools = len(gateway.hosts) * gateway.workers
        fits = (most - RESERVE) // pools if pools else 0
        yield fleet.document.problem(
            (*KEY, "max_connections"),
            f"is {most}, and the gateways may open {needed - RESERVE}: {len(gateway.hosts)} x "
            f"{gateway.workers} workers x {database.connection_pool_limit} each, with {RESERVE} in "
            "reserve.",
            f"Write connection_pool_limit: {fits} or less."
            if fits > 0
            else "Have fewer workers, or a pooler before the database.",
        )
