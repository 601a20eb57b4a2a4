"""What the Redis of the gateways is told, where it is ours."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mirrorfleet.config import Fleet, Secret
from mirrorfleet.config.litellm import Redis
from mirrorfleet.config.problems import checked
from mirrorfleet.planning.provenance import derived_from


@dataclass(frozen=True)
class RedisPlan:
    """A Redis on a host of the fleet."""

    listen: str = derived_from("hosts.{host}.address", reason="the address that the gateways use")
    port: int = derived_from("gateway.redis.port")
    password: Secret = derived_from("gateway.redis.password")


def redis(fleet: Fleet) -> dict[str, RedisPlan]:
    """Derive the Redis of the host that is to have one."""
    said = fleet.gateway.redis if fleet.gateway else None
    if said is None or said.install is None:
        return {}
    password = checked(said.password, "gateway.redis.password")
    address = fleet.hosts[said.install].address
    return {said.install: RedisPlan(listen=address, port=said.port, password=password)}


def reached(fleet: Fleet, said: Redis | None) -> Redis | None:
    """Return how gateways reach their Redis, if they have one."""
    if said is None or said.install is None:
        return said
    return replace(said, host=fleet.hosts[said.install].address)
