"""The plan: every value that a role needs on a host, each derived here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fleet.keys import DerivedKey, Key
from fleet.plan.claude import ClaudePlan, ClientPlan, MirrorPlan, claude
from fleet.plan.database import DatabasePlan, MigrationsPlan, PostgresPlan, migrations, postgres
from fleet.plan.firewall import DoorPlan, FirewallPlan, firewall
from fleet.plan.front import FrontPlan, front
from fleet.plan.keys import KeyPlan
from fleet.plan.litellm import LitellmPlan, litellm
from fleet.plan.ollama import OllamaModelPlan, OllamaPlan, ollama
from fleet.plan.redis import RedisPlan, redis
from fleet.plan.routes import Route, http
from fleet.plan.vllm import NodesPlan, VllmPlan, vllm
from fleet.plan.why import comes
from fleet.spec import Fleet

__all__ = [
    "ClaudePlan",
    "ClientPlan",
    "DatabasePlan",
    "DerivedKey",
    "DoorPlan",
    "FirewallPlan",
    "FleetPlan",
    "FrontPlan",
    "HostPlan",
    "Key",
    "KeyPlan",
    "LitellmPlan",
    "MigrationsPlan",
    "MirrorPlan",
    "NodesPlan",
    "OllamaModelPlan",
    "OllamaPlan",
    "PostgresPlan",
    "RedisPlan",
    "Route",
    "VllmPlan",
    "http",
    "plan",
]


@dataclass(frozen=True)
class HostPlan:
    """Everything that one host is to be."""

    name: str = comes("hosts.{host}")
    packages: Literal["controller", "registry"] = comes("packages")
    driver: str | None = comes(
        "hosts.{host}.driver", because="deploys/drivers.py installs it, and no other run"
    )
    engines: tuple[VllmPlan, ...] = comes("models")
    ollama: OllamaPlan | None = comes("models")
    redis: RedisPlan | None = comes("gateway.redis")
    postgres: PostgresPlan | None = comes("gateway.database")
    migrations: MigrationsPlan | None = comes("gateway.database")
    gateway: LitellmPlan | None = comes("gateway")
    front: FrontPlan | None = comes("front")
    clients: ClaudePlan | None = comes("developers")
    firewall: FirewallPlan | None = comes("firewall")

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data, secrets as references, for ``debug-inventory``."""
        return asdict(self, dict_factory=_plain)


def _plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in pairs}


@dataclass(frozen=True)
class FleetPlan:
    """The whole fleet, host by host, in the order of the fleet file."""

    fleet: Fleet
    hosts: Mapping[str, HostPlan]


def plan(fleet: Fleet) -> FleetPlan:
    """Derive the plan of every host from a checked fleet."""
    engines, ollamas = vllm(fleet), ollama(fleet)
    gateways, fronts, memories = litellm(fleet), front(fleet), redis(fleet)
    databases, tables = postgres(fleet), migrations(fleet)
    clients = claude(fleet)
    firewalls = firewall(fleet)
    return FleetPlan(
        fleet=fleet,
        hosts={
            name: HostPlan(
                name=name,
                packages=fleet.packages,
                driver=fleet.hosts[name].driver,
                engines=engines.get(name, ()),
                ollama=ollamas.get(name),
                redis=memories.get(name),
                postgres=databases.get(name),
                migrations=tables.get(name),
                gateway=gateways.get(name),
                front=fronts.get(name),
                clients=clients.get(name),
                firewall=firewalls.get(name),
            )
            for name in fleet.hosts
        },
    )
