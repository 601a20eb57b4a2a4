"""Who reaches the servers of a host: the gateways its engines, and whom the file names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mirrorfleet.config import Fleet
from mirrorfleet.engines import gpus, ollama
from mirrorfleet.planning.provenance import comes


@dataclass(frozen=True)
class DoorPlan:
    """A port of a host, and from where it is reached: addresses, networks, names to look up."""

    name: str
    port: int
    admits: tuple[str, ...]


@dataclass(frozen=True)
class VllmDoor(DoorPlan):
    name: str = comes("models.{name}")
    port: int = comes("models.{name}.port")
    admits: tuple[str, ...] = comes("gateway.hosts", "firewall.engines")


@dataclass(frozen=True)
class NodeDoor(DoorPlan):
    name: str = comes("models.{name}")
    port: int = comes("models.{name}.node_port")
    admits: tuple[str, ...] = comes("models.{name}.nodes", "models.{name}.hosts")


@dataclass(frozen=True)
class OllamaDoor(DoorPlan):
    name: str = comes("models.*.engine")
    port: int = comes("models.*.port")
    admits: tuple[str, ...] = comes("gateway.hosts", "firewall.engines")


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
    for host, door in (*_engines(fleet), *_nodes(fleet), *_gateways(fleet)):
        if fleet.hosts[host].firewall:
            doors.setdefault(host, []).append(door)
    gateways = fleet.gateway.hosts if fleet.gateway else ()
    passes = {
        fleet.hosts[host].address: door.admits
        for host, behind in doors.items()
        for door in behind
        if isinstance(door, VllmDoor | OllamaDoor)
    }
    return {
        host: FirewallPlan(tuple(doors.get(host, ())), passes if host in gateways else {})
        for host in fleet.hosts
        if host in doors or (passes and host in gateways)
    }


def _engines(fleet: Fleet) -> Iterator[tuple[str, DoorPlan]]:
    """Yield the doors of engines. Where the file knows nobody who asks them, they have none."""
    admits = askers(fleet)
    if not admits:
        return
    for host, engines in gpus.placed(fleet).items():
        for model in engines:
            if host in model.heads:
                yield host, VllmDoor(model.name, model.port, admits)
    for host, models in ollama.served(fleet).items():
        yield host, OllamaDoor("ollama", ollama.server(models).port, admits)


def _nodes(fleet: Fleet) -> Iterator[tuple[str, DoorPlan]]:
    """Yield the doors behind which nodes meet: the first asks the others, and they join it."""
    for host, engines in gpus.placed(fleet).items():
        for model in engines:
            [nodes] = [each for each in model.replicas if host in each]
            if host == nodes[0] and nodes[1:]:
                admits = _admitted(fleet, nodes[1:], ())
                yield host, NodeDoor(model.name, model.node_port + 1, admits)
            elif host != nodes[0]:
                admits = _admitted(fleet, nodes[:1], ())
                yield host, NodeDoor(model.name, model.node_port, admits)


def askers(fleet: Fleet) -> tuple[str, ...]:
    """Return the addresses of those who may ask engines, as far as the file knows them."""
    gateways = fleet.gateway.hosts if fleet.gateway else ()
    return _admitted(fleet, gateways, fleet.firewall.engines)


def _gateways(fleet: Fleet) -> Iterator[tuple[str, DoorPlan]]:
    """Yield the doors of gateways, those that the file wants, and of their Redis and Postgres."""
    gateway, said = fleet.gateway, fleet.firewall
    if gateway is None:
        return
    if gateway.redis and gateway.redis.install:
        admits = _admitted(fleet, gateway.hosts, ())
        yield gateway.redis.install, RedisDoor("redis", gateway.redis.port, admits)
    if gateway.database and gateway.database.install:
        admits = _admitted(fleet, gateway.hosts, ())
        yield gateway.database.install, PostgresDoor("postgres", gateway.database.port, admits)
    clients = [host for group in fleet.developers.values() for host in group.seats]
    clients += fleet.front.hosts if fleet.front else ()
    for host in gateway.hosts:
        if said.gateways:
            yield (
                host,
                GatewayDoor("gateway", gateway.port, _admitted(fleet, clients, said.gateways)),
            )
        if said.metrics and gateway.metrics_port:
            yield (
                host,
                MetricsDoor("metrics", gateway.metrics_port, _admitted(fleet, (), said.metrics)),
            )


def _admitted(fleet: Fleet, hosts: Iterable[str], said: Iterable[str]) -> tuple[str, ...]:
    """Return addresses: of the hosts, and of what the file says, where a host goes by its name."""
    addresses = {name: host.address for name, host in fleet.hosts.items()}
    return tuple(dict.fromkeys(addresses.get(each, each) for each in (*hosts, *said)))
