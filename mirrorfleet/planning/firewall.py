"""Who reaches the servers of a host: the gateways its engines, and whom the file names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mirrorfleet.config import Fleet
from mirrorfleet.engines import gpus, ollama
from mirrorfleet.planning.provenance import derived_from


@dataclass(frozen=True)
class FirewallRule:
    """A port of a host, and from where it is reached: addresses, networks, names to look up."""

    name: str
    port: int
    allowed_sources: tuple[str, ...]


@dataclass(frozen=True)
class VllmRule(FirewallRule):
    name: str = derived_from("models.{name}")
    port: int = derived_from("models.{name}.port")
    allowed_sources: tuple[str, ...] = derived_from("gateway.hosts", "firewall.engines")


@dataclass(frozen=True)
class NodeRule(FirewallRule):
    name: str = derived_from("models.{name}")
    port: int = derived_from("models.{name}.node_port")
    allowed_sources: tuple[str, ...] = derived_from("models.{name}.nodes", "models.{name}.hosts")


@dataclass(frozen=True)
class OllamaRule(FirewallRule):
    name: str = derived_from("models.*.engine")
    port: int = derived_from("models.*.port")
    allowed_sources: tuple[str, ...] = derived_from("gateway.hosts", "firewall.engines")


@dataclass(frozen=True)
class RedisRule(FirewallRule):
    name: str = derived_from("gateway.redis.install")
    port: int = derived_from("gateway.redis.port")
    allowed_sources: tuple[str, ...] = derived_from("gateway.hosts")


@dataclass(frozen=True)
class PostgresRule(FirewallRule):
    name: str = derived_from("gateway.database.install")
    port: int = derived_from("gateway.database.port")
    allowed_sources: tuple[str, ...] = derived_from("gateway.hosts")


@dataclass(frozen=True)
class GatewayRule(FirewallRule):
    name: str = derived_from("gateway")
    port: int = derived_from("gateway.port")
    allowed_sources: tuple[str, ...] = derived_from(
        "firewall.gateways", "load_balancer.hosts", "developers"
    )


@dataclass(frozen=True)
class MetricsRule(FirewallRule):
    name: str = derived_from("gateway.metrics")
    port: int = derived_from("gateway.metrics.port")
    allowed_sources: tuple[str, ...] = derived_from("firewall.metrics")


@dataclass(frozen=True)
class FirewallPlan:
    """The rules of a host, one for each port that it closes.

    ``upstream_routes``, on hosts with a gateway: by address of each engine, the sources that its
    host allows. The gateway must connect from one of them.
    """

    rules: tuple[FirewallRule, ...] = derived_from(
        "firewall", reason="a port with a rule is closed to all other sources"
    )
    upstream_routes: Mapping[str, tuple[str, ...]] = derived_from(
        "firewall.engines", "gateway.hosts"
    )


def firewall(fleet: Fleet) -> dict[str, FirewallPlan]:
    """Derive the firewall of every host that has rules, or a gateway whose engines have some."""
    if not fleet.firewall.on:
        return {}
    rules: dict[str, list[FirewallRule]] = {}
    for host, rule in (*_engines(fleet), *_nodes(fleet), *_gateways(fleet)):
        if fleet.hosts[host].firewall:
            rules.setdefault(host, []).append(rule)
    gateways = fleet.gateway.hosts if fleet.gateway else ()
    upstream_routes = {
        fleet.hosts[host].address: rule.allowed_sources
        for host, own in rules.items()
        for rule in own
        if isinstance(rule, VllmRule | OllamaRule)
    }
    return {
        host: FirewallPlan(tuple(rules.get(host, ())), upstream_routes if host in gateways else {})
        for host in fleet.hosts
        if host in rules or (upstream_routes and host in gateways)
    }


def _engines(fleet: Fleet) -> Iterator[tuple[str, FirewallRule]]:
    """Yield the rules of engines: none where the file names no client of them."""
    allowed_sources = askers(fleet)
    if not allowed_sources:
        return
    for host, engines in gpus.placed(fleet).items():
        for model in engines:
            if host in model.heads:
                yield host, VllmRule(model.name, model.port, allowed_sources)
    for host, models in ollama.served(fleet).items():
        yield host, OllamaRule("ollama", ollama.server(models).port, allowed_sources)


def _nodes(fleet: Fleet) -> Iterator[tuple[str, FirewallRule]]:
    """Yield the rules of nodes: the first connects to the others, and they connect to it."""
    for host, engines in gpus.placed(fleet).items():
        for model in engines:
            [nodes] = [each for each in model.replicas if host in each]
            if host == nodes[0] and nodes[1:]:
                allowed_sources = _admitted(fleet, nodes[1:], ())
                yield host, NodeRule(model.name, model.node_port + 1, allowed_sources)
            elif host != nodes[0]:
                allowed_sources = _admitted(fleet, nodes[:1], ())
                yield host, NodeRule(model.name, model.node_port, allowed_sources)


def askers(fleet: Fleet) -> tuple[str, ...]:
    """Return the addresses of those who may ask engines, as far as the file knows them."""
    gateways = fleet.gateway.hosts if fleet.gateway else ()
    return _admitted(fleet, gateways, fleet.firewall.engines)


def _gateways(fleet: Fleet) -> Iterator[tuple[str, FirewallRule]]:
    """Yield the rules of gateways that the file asks for, and those of their Redis and Postgres."""
    gateway, said = fleet.gateway, fleet.firewall
    if gateway is None:
        return
    if gateway.redis and gateway.redis.install:
        allowed_sources = _admitted(fleet, gateway.hosts, ())
        yield gateway.redis.install, RedisRule("redis", gateway.redis.port, allowed_sources)
    if gateway.database and gateway.database.install:
        allowed_sources = _admitted(fleet, gateway.hosts, ())
        yield (
            gateway.database.install,
            PostgresRule("postgres", gateway.database.port, allowed_sources),
        )
    clients = [host for group in fleet.developers.values() for host in group.seats]
    clients += fleet.load_balancer.hosts if fleet.load_balancer else ()
    for host in gateway.hosts:
        if said.gateways:
            yield (
                host,
                GatewayRule("gateway", gateway.port, _admitted(fleet, clients, said.gateways)),
            )
        if said.metrics and gateway.metrics_port:
            yield (
                host,
                MetricsRule("metrics", gateway.metrics_port, _admitted(fleet, (), said.metrics)),
            )


def _admitted(fleet: Fleet, hosts: Iterable[str], said: Iterable[str]) -> tuple[str, ...]:
    """Return addresses: of the hosts, and of what the file says, where a host goes by its name."""
    addresses = {name: host.address for name, host in fleet.hosts.items()}
    return tuple(dict.fromkeys(addresses.get(each, each) for each in (*hosts, *said)))
