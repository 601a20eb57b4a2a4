"""The Redis of the gateways: its server, and the connection to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mirrorfleet.config import Fleet, Secret
from mirrorfleet.config.litellm import Redis
from mirrorfleet.config.problems import checked
from mirrorfleet.planning.provenance import derived_from


@dataclass(frozen=True)
class RedisPlan:
    """A Redis on a host of the fleet."""

    listen: str = derived_from(
        "hosts.{host}.address", reason="the address that the gateways connect to"
    )
    port: int = derived_from("gateway.redis.port")
    password: Secret = derived_from("gateway.redis.password")


def redis(fleet: Fleet) -> dict[str, RedisPlan]:
    """Derive the Redis that Mirrorfleet installs, by host."""
    config = fleet.gateway.redis if fleet.gateway else None
    if config is None or config.install is None:
        return {}
    password = checked(config.password, "gateway.redis.password")
    address = fleet.hosts[config.install].address
    return {config.install: RedisPlan(listen=address, port=config.port, password=password)}


def connection(fleet: Fleet, config: Redis | None) -> Redis | None:
    """Return how gateways connect to their Redis; ``None`` if they have none."""
    if config is None or config.install is None:
        return config
    return replace(config, host=fleet.hosts[config.install].address)
