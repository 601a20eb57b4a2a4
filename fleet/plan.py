"""The plan: every value that a role needs on a host, each derived here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fleet import clients, routes
from fleet.data import table
from fleet.spec import Fleet, Host, Secret, VllmModel, Weights

JITTER = 0.1
"""Workers recycle within this share of `max_requests_before_restart`, so never all at once."""


@dataclass(frozen=True)
class VllmPlan:
    """One engine: a model served by vLLM on one host."""

    model: str
    version: str
    build: Literal["cuda", "cpu"]
    weights: Weights
    listen: str
    port: int
    context: int
    tensor_parallel: int
    gpu_memory_utilization: float
    tool_parser: str
    reasoning_parser: str | None
    api_key: Secret | None


@dataclass(frozen=True)
class LitellmPlan:
    """One gateway. ``workers`` is still `auto` where only the live host knows its cores."""

    version: str
    listen: str
    port: int
    workers: int | Literal["auto"]
    max_requests_before_restart: int | None
    jitter: int
    timeout: int
    routes: tuple[routes.Route, ...]
    aliases: Mapping[str, str]
    fallbacks: Mapping[str, tuple[str, ...]]
    master_key: Secret
    keys: Mapping[str, Secret]


@dataclass(frozen=True)
class ClaudePlan:
    """The Claude Code clients of one host: one release, and settings per user."""

    version: str
    users: tuple[clients.ClientPlan, ...]


@dataclass(frozen=True)
class HostPlan:
    """Everything that one host is to be."""

    name: str
    packages: Literal["controller", "registry"]
    engines: tuple[VllmPlan, ...]
    gateway: LitellmPlan | None
    clients: ClaudePlan | None

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
    return FleetPlan(
        fleet=fleet,
        hosts={
            host.name: HostPlan(
                name=host.name,
                packages=fleet.packages,
                engines=_engines(fleet, host),
                gateway=_gateway(fleet, host),
                clients=_clients(fleet, host),
            )
            for host in fleet.hosts.values()
        },
    )


def _engines(fleet: Fleet, host: Host) -> tuple[VllmPlan, ...]:
    return tuple(
        _vllm(model, host)
        for model in fleet.models.values()
        if isinstance(model, VllmModel) and host.name in model.hosts
    )


def _vllm(model: VllmModel, host: Host) -> VllmPlan:
    parsers = table("families")[model.family]
    return VllmPlan(
        model=model.name,
        version=model.version,
        build=model.build,
        weights=model.weights,
        # The address that the gateways use, never 0.0.0.0: a second network card stays closed.
        listen=host.address,
        port=model.port,
        context=model.context,
        tensor_parallel=model.tensor_parallel,
        gpu_memory_utilization=model.gpu_memory_utilization,
        tool_parser=parsers["tool_parser"],
        reasoning_parser=parsers.get("reasoning_parser"),
        api_key=model.api_key,
    )


def _gateway(fleet: Fleet, host: Host) -> LitellmPlan | None:
    gateway = fleet.gateway
    if gateway is None or host.name not in gateway.hosts:
        return None
    recycle = gateway.max_requests_before_restart
    return LitellmPlan(
        version=gateway.version,
        listen=host.address,
        port=gateway.port,
        workers=gateway.workers,
        max_requests_before_restart=recycle,
        jitter=round(recycle * JITTER) if recycle else 0,
        timeout=gateway.timeout,
        routes=routes.routes(fleet),
        aliases=routes.aliases(fleet),
        fallbacks=fleet.fallbacks,
        master_key=gateway.master_key,
        keys={group.name: group.key for group in fleet.developers.values()},
    )


def _clients(fleet: Fleet, host: Host) -> ClaudePlan | None:
    groups = [group for group in fleet.developers.values() if host.name in group.hosts]
    if not groups:
        return None
    return ClaudePlan(
        version=groups[0].version,
        users=tuple(clients.client(fleet, group, user) for group in groups for user in group.users),
    )
