"""Who reaches the servers of a host: the gateways its engines, and whom the file names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mirrorfleet.config import Fleet
from mirrorfleet.planning.doors import DoorPlan, EngineDoor, addresses
from mirrorfleet.planning.engines import engine_doors
from mirrorfleet.planning.provenance import comes


@dataclass(frozen=True)
class RedisDoor(DoorPlan):
    name: str = comes("gateway.redis.install")
    port: int = comes("gateway.redis.port")
    admits: tuple[str, ...] = comes("gateway.hosts")


@dataclass(frozen=True)
class PostgresDoor(DoorPlan):
    name: str = comes("gateway.database.install")
    port: int = comes("gateway.database.port")
    admits: tuple[str, ...] = comes("gateway.hosts")


@dataclass(frozen=True)
class GatewayDoor(DoorPlan):
    name: str = comes("gateway")
    port: int = comes("gateway.port")
    admits: tuple[str, ...] = comes("firewall.gateways", "front.hosts", "developers")


@dataclass(frozen=True)
class MetricsDoor(DoorPlan):
    name: str = comes("gateway.metrics")
    port: int = comes("gateway.metrics.port")
    admits: tuple[str, ...] = comes("firewall.metrics")


@dataclass(frozen=True)
class FirewallPlan:
    """The doors of a host. ``passes`` says of each engine that this gateway asks, by its address,
    from where it is reached: the gateway has to come from one of these.
    """

    doors: tuple[DoorPlan, ...] = comes(
        "firewall", because="a port with a door is closed to whoever is not admitted"
    )
    passes: Mapping[str, tuple[str, ...]] = comes("firewall.engines", "gateway.hosts")


def firewall(fleet: Fleet) -> dict[str, FirewallPlan]:
    """Derive the firewall of every host that has doors, or has to pass one."""
    if not fleet.firewall.on:
        return {}
    doors: dict[str, list[DoorPlan]] = {}
    for host, door in (*engine_doors(fleet), *_gateways(fleet)):
        if fleet.hosts[host].firewall:
            doors.setdefault(host, []).append(door)
    gateways = fleet.gateway.hosts if fleet.gateway else ()
    passes = {
        fleet.hosts[host].address: door.admits
        for host, behind in doors.items()
        for door in behind
        if isinstance(door, EngineDoor)
    }
    return {
        host: FirewallPlan(tuple(doors.get(host, ())), passes if host in gateways else {})
        for host in fleet.hosts
        if host in doors or (passes and host in gateways)
    }


def _gateways(fleet: Fleet) -> Iterator[tuple[str, DoorPlan]]:
    """Yield the doors of gateways, those that the file wants, and of their Redis and Postgres."""
    gateway, said = fleet.gateway, fleet.firewall
    if gateway is None:
        return
    if gateway.redis and gateway.redis.install:
        admits = addresses(fleet, gateway.hosts, ())
        yield gateway.redis.install, RedisDoor("redis", gateway.redis.port, admits)
    if gateway.database and gateway.database.install:
        admits = addresses(fleet, gateway.hosts, ())
        yield gateway.database.install, PostgresDoor("postgres", gateway.database.port, admits)
    clients = [host for group in fleet.developers.values() for host in group.seats]
    clients += fleet.front.hosts if fleet.front else ()
    for host in gateway.hosts:
        if said.gateways:
            yield (
                host,
                GatewayDoor("gateway", gateway.port, addresses(fleet, clients, said.gateways)),
            )
        if said.metrics and gateway.metrics_port:
            yield (
                host,
                MetricsDoor("metrics", gateway.metrics_port, addresses(fleet, (), said.metrics)),
            )
