"""The firewall of each host: the addresses that may connect to its engines and gateways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mirrorfleet.config import Fleet
from mirrorfleet.planning.engines import engine_rules
from mirrorfleet.planning.firewall_rules import EngineRule, FirewallRule, addresses
from mirrorfleet.planning.provenance import derived_from


@dataclass(frozen=True)
class RedisRule(FirewallRule):
    """The port of a Redis that Mirrorfleet installs."""

    name: str = derived_from("gateway.redis.install")
    port: int = derived_from("gateway.redis.port")
    allowed_sources: tuple[str, ...] = derived_from("gateway.hosts")


@dataclass(frozen=True)
class PostgresRule(FirewallRule):
    """The port of a Postgres that Mirrorfleet installs."""

    name: str = derived_from("gateway.database.install")
    port: int = derived_from("gateway.database.port")
    allowed_sources: tuple[str, ...] = derived_from("gateway.hosts")


@dataclass(frozen=True)
class GatewayRule(FirewallRule):
    """The port of a gateway."""

    name: str = derived_from("gateway")
    port: int = derived_from("gateway.port")
    allowed_sources: tuple[str, ...] = derived_from(
        "firewall.gateways", "load_balancer.hosts", "developers"
    )


@dataclass(frozen=True)
class MetricsRule(FirewallRule):
    """The metrics port of a gateway."""

    name: str = derived_from("gateway.metrics")
    port: int = derived_from("gateway.metrics.port")
    allowed_sources: tuple[str, ...] = derived_from("firewall.metrics")


@dataclass(frozen=True)
class FirewallPlan:
    """The rules of a host, one per port.

    ``upstream_routes``, on hosts with a gateway: the sources that each engine host allows, by its
    address. The gateway must connect from one of these sources.
    """

    rules: tuple[FirewallRule, ...] = derived_from(
        "firewall", reason="all other sources are blocked"
    )
    upstream_routes: Mapping[str, tuple[str, ...]] = derived_from(
        "firewall.engines", "gateway.hosts"
    )


def firewall(fleet: Fleet) -> dict[str, FirewallPlan]:
    """Derive the firewall of every host with rules, or with a gateway whose engines have rules."""
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
    """Yield the rules of gateways and of their Redis and Postgres, each with its host."""
    gateway, config = fleet.gateway, fleet.firewall
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
        if config.gateways:
            yield (
                host,
                GatewayRule("gateway", gateway.port, addresses(fleet, clients, config.gateways)),
            )
        if config.metrics and gateway.metrics_port:
            yield (
                host,
                MetricsRule("metrics", gateway.metrics_port, addresses(fleet, (), config.metrics)),
            )
