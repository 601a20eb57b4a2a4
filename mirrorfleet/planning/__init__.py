"""The plan: every value that a role needs on a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from mirrorfleet.config import Fleet
from mirrorfleet.config.key_derivation import DerivedKey, Key
from mirrorfleet.planning.claude import ClaudePlan, ClientPlan, IsolatedPlan, claude
from mirrorfleet.planning.database import (
    DatabasePlan,
    MigrationsPlan,
    PostgresPlan,
    migrations,
    postgres,
)
from mirrorfleet.planning.engines import EnginePlan, engine_plans
from mirrorfleet.planning.firewall import FirewallPlan, firewall
from mirrorfleet.planning.firewall_rules import FirewallRule
from mirrorfleet.planning.intermittent import intermittent
from mirrorfleet.planning.keys import KeyPlan
from mirrorfleet.planning.litellm import LitellmPlan, litellm
from mirrorfleet.planning.load_balancer import LoadBalancerPlan, load_balancer
from mirrorfleet.planning.provenance import derived_from
from mirrorfleet.planning.redis import RedisPlan, redis
from mirrorfleet.planning.rollout import RolloutPlan, rollout
from mirrorfleet.planning.routes import Route, http, origin

__all__ = [
    "ClaudePlan",
    "ClientPlan",
    "DatabasePlan",
    "DerivedKey",
    "EnginePlan",
    "FirewallPlan",
    "FirewallRule",
    "FleetPlan",
    "HostPlan",
    "IsolatedPlan",
    "Key",
    "KeyPlan",
    "LitellmPlan",
    "LoadBalancerPlan",
    "MigrationsPlan",
    "PostgresPlan",
    "RedisPlan",
    "RolloutPlan",
    "Route",
    "http",
    "origin",
    "plan",
]

E = TypeVar("E")


@dataclass(frozen=True)
class HostPlan:
    """The desired state of one host."""

    name: str = derived_from("hosts.{host}")
    packages: Literal["controller", "registry"] = derived_from("packages")
    driver: str | None = derived_from(
        "hosts.{host}.driver", reason="only deploys/drivers.py installs it"
    )
    engines: tuple[EnginePlan, ...] = derived_from("models")
    redis: RedisPlan | None = derived_from("gateway.redis")
    postgres: PostgresPlan | None = derived_from("gateway.database")
    migrations: MigrationsPlan | None = derived_from("gateway.database")
    gateway: LitellmPlan | None = derived_from("gateway")
    load_balancer: LoadBalancerPlan | None = derived_from("load_balancer")
    clients: ClaudePlan | None = derived_from("developers")
    firewall: FirewallPlan | None = derived_from("firewall")
    rollout: RolloutPlan | None = derived_from("rollout")
    intermittent: bool = derived_from(
        "hosts.{host}.intermittent",
        reason="if unset, whether developers work there and nothing depends on it",
    )

    @property
    def gateway_stores(self) -> tuple[RedisPlan | PostgresPlan, ...]:
        """The services on which all gateways depend."""
        return tuple(store for store in (self.redis, self.postgres) if store)

    @property
    def shared_services(
        self,
    ) -> tuple[RedisPlan | PostgresPlan | LitellmPlan | LoadBalancerPlan, ...]:
        """The services on which all developers depend; an engine is one of several."""
        entries = tuple(service for service in (self.gateway, self.load_balancer) if service)
        return (*self.gateway_stores, *entries)

    @property
    def services(
        self,
    ) -> tuple[EnginePlan | RedisPlan | PostgresPlan | LitellmPlan | LoadBalancerPlan, ...]:
        """All services of the host, each with the address on which it listens."""
        return (*self.engines, *self.shared_services)

    def engines_of(self, kind: type[E]) -> tuple[E, ...]:
        """Return the plans of one engine, for its role."""
        return tuple(engine for engine in self.engines if isinstance(engine, kind))

    def to_json(self) -> dict[str, Any]:
        """Return the plan as data for JSON, without empty values. Secrets are references.

        ``mirrorfleet show --json`` and ``pyinfra … debug-inventory`` print it.
        """
        return asdict(self, dict_factory=_plain)


def _plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        key: dict(value) if isinstance(value, Mapping) else value
        for key, value in pairs
        if value is not None and value not in ((), {})
    }


@dataclass(frozen=True)
class FleetPlan:
    """The plans of all hosts, by name, in the order of the fleet file."""

    fleet: Fleet
    hosts: Mapping[str, HostPlan]


def plan(fleet: Fleet) -> FleetPlan:
    """Derive the plan of every host from a checked fleet."""
    engines = engine_plans(fleet)
    gateways, load_balancers, redis_servers = litellm(fleet), load_balancer(fleet), redis(fleet)
    postgres_servers, schemas = postgres(fleet), migrations(fleet)
    clients = claude(fleet)
    firewalls, rings = firewall(fleet), rollout(fleet)
    services = (engines, gateways, load_balancers, redis_servers, postgres_servers)
    may_be_off = intermittent(fleet, {name for each in services for name in each}, clients.keys())
    return FleetPlan(
        fleet=fleet,
        hosts={
            name: HostPlan(
                name=name,
                packages=fleet.packages,
                driver=fleet.hosts[name].driver,
                engines=engines.get(name, ()),
                redis=redis_servers.get(name),
                postgres=postgres_servers.get(name),
                migrations=schemas.get(name),
                gateway=gateways.get(name),
                load_balancer=load_balancers.get(name),
                clients=clients.get(name),
                firewall=firewalls.get(name),
                rollout=rings.get(name),
                intermittent=name in may_be_off,
            )
            for name in fleet.hosts
        },
    )
