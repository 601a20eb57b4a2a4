"""Problems of the gateways' Redis: its place, password and address."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.addresses import is_public
from mirrorfleet.config.litellm import Redis
from mirrorfleet.config.problems import Key, Problem

KEY: Key = ("gateway", "redis")


def problems(fleet: Fleet) -> Iterator[Problem]:
    if fleet.gateway is None or fleet.gateway.redis is None:
        return
    redis = fleet.gateway.redis
    config = fleet.document.data["gateway"]["redis"]
    if ("host" in config) == ("install" in config):
        yield fleet.document.problem(
            KEY,
            "has both 'host' and 'install'." if "host" in config else "needs 'host' or 'install'.",
            "For a Redis of your own, write host: ADDRESS; for a new one, install: HOST.",
        )
    elif redis.install:
        yield from _installed(fleet, redis)


def _installed(fleet: Fleet, redis: Redis) -> Iterator[Problem]:
    """Yield problems of a Redis that Mirrorfleet installs."""
    if redis.password is None:
        yield fleet.document.problem(
            KEY, "needs a 'password'.", "Add one, for example password: {env: REDIS_PASSWORD}."
        )
    for name, value in (("ssl", redis.ssl), ("username", redis.username)):
        if value:
            yield fleet.document.problem(
                (*KEY, name),
                "does not apply with 'install': that Redis has one user and no TLS.",
                "Remove it.",
            )
    host = fleet.hosts.get(redis.install or "")
    if host and is_public(host.address):
        yield fleet.document.problem(
            (*KEY, "install"),
            f"listens on the public address {host.address} without TLS.",
            "Choose a host with a private address.",
        )
