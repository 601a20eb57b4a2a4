"""A Redis that nobody finds, or that everybody does."""

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
    said = fleet.document.data["gateway"]["redis"]
    if ("host" in said) == ("install" in said):
        yield fleet.document.problem(
            KEY,
            "has both 'host' and 'install'." if "host" in said else "does not say where it is.",
            "Write the address of yours as 'host', or as 'install' the host that is to get one.",
        )
    elif redis.install:
        yield from _installed(fleet, redis)


def _installed(fleet: Fleet, redis: Redis) -> Iterator[Problem]:
    """What holds of a Redis of ours only."""
    if redis.password is None:
        yield fleet.document.problem(
            KEY, "is open to whoever reaches its port.", "Add a 'password'."
        )
    for name, value in (("ssl", redis.ssl), ("username", redis.username)):
        if value:
            yield fleet.document.problem(
                (*KEY, name),
                "is not for a Redis that is installed here: it has one user, and no certificate.",
                "Remove it.",
            )
    host = fleet.hosts.get(redis.install or "")
    if host and is_public(host.address):
        yield fleet.document.problem(
            (*KEY, "install"),
            f"listens on {host.address}, an address of the internet, without TLS.",
            "Use a host with a private address.",
        )
