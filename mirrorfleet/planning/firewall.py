"""Who reaches the servers of a host: the gateways its engines, and whom the file names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mirrorfleet.config import Fleet
from mirrorfleet.planning.engines import engine_rules
from mirrorfleet.planning.firewall_rules import EngineRule, FirewallRule, addresses
from mirrorfleet.planning.provenance import derived_from


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
    for host, rule in (*engine_rules(fleet), *_gateways(fleet)):
        if fleet.hosts[host].firewall:
            rules.setdefault(host, []).append(rule)
    gateways = fleet.gateway.hosts if fleet.gateway else ()
    upstream_routes = {
        fleet.hosts[host].address: rule.allowed_sources
        for host, own in rules.items()
        for rule in own
        if isinstance(rule, EngineRule)
    }
    return {
        host: FirewallPlan(tuple(rules.get(host, ())), upstream_routes if host in gateways else {})
        for host in fleet.hosts
        if host in rules or (upstream_routes and host in gateways)
    }


def _gateways(fleet: Fleet) -> Iterator[tuple[str, FirewallRule]]:
    """Yield the rules of gateways that the file asks for, and those of their Redis and Postgres."""
    gateway, said = fleet.gateway, fleet.firewall
    if gateway is None:
        return
    if gateway.redis and gateway.redis.install:
        allowed_sources = addresses(fleet, gateway.hosts, ())
        yield gateway.redis.install, RedisRule("redis", gateway.redis.port, allowed_sources)
    if gateway.database and gateway.database.install:
        allowed_sources = addresses(fleet, gateway.hosts, ())
        yield (
            gateway.database.install,
            PostgresRule("postgres", gateway.database.port, allowed_sources),
        )
    clients = [host for group in fleet.developers.values() for host in group.users_by_host]
    clients += fleet.load_balancer.hosts if fleet.load_balancer else ()
    for host in gateway.hosts:
        if said.gateways:
            yield (
                host,
                GatewayRule("gateway", gateway.port, addresses(fleet, clients, said.gateways)),
            )
        if said.metrics and gateway.metrics_port:
            yield (
                host,
                MetricsRule("metrics", gateway.metrics_port, addresses(fleet, (), said.metrics)),
            )
