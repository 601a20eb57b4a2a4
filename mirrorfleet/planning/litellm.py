"""The plan of each gateway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mirrorfleet.config import Fleet, Gateway, Host, Image, ProviderModel, Secret
from mirrorfleet.config.budgets import Budget
from mirrorfleet.config.cache import Cache
from mirrorfleet.config.limits import Limits
from mirrorfleet.config.litellm import Guardrail, Logging, Redis, Routing, Values
from mirrorfleet.config.mcp import McpServer
from mirrorfleet.config.problems import Unchecked
from mirrorfleet.config.usage import Usage
from mirrorfleet.config.web_search import WebSearch
from mirrorfleet.engines.abilities import abilities
from mirrorfleet.planning.database import DatabasePlan
from mirrorfleet.planning.database import connection as database_connection
from mirrorfleet.planning.keys import KeyPlan, keys
from mirrorfleet.planning.proof import RunningProof, running_proofs
from mirrorfleet.planning.provenance import derived_from
from mirrorfleet.planning.redis import connection as redis_connection
from mirrorfleet.planning.refused import RefusedReleases, refused
from mirrorfleet.planning.routes import Route, aliases, by_name, routes
from mirrorfleet.planning.stopping import STREAM, STREAM_ALONE, drain_seconds, stop_timeout
from mirrorfleet.planning.tiers import group_tiers, tiers
from mirrorfleet.planning.tls_servers import TlsServer, tls_servers

JITTER = 0.5
"""Jitter of `max_requests_before_restart`, as a share of it.

It is large because workers stop one at a time: with less, they would often wait for each other.
"""

PING = "sse_keepalive_ping_interval_seconds"
"""LiteLLM's name for the seconds without data after which it pings a streaming client."""


BY_NAME = "under every name of a model: LiteLLM looks up fallbacks by the requested name"


@dataclass(frozen=True)
class Passthrough:
    """Anthropic's API, which the gateway passes through untranslated, and the key for it."""

    model: str = derived_from("gateway.anthropic_passthrough")
    url: str = derived_from("models.{model}.url")
    api_key: Secret = derived_from("models.{model}.api_key")


@dataclass(frozen=True)
class ModulePlan:
    """A Python module of the user's own, and the SHA-256 of its content."""

    path: Path = derived_from("gateway.modules")
    digest: str = derived_from("gateway.modules", reason="of the file's content")


@dataclass(frozen=True)
class LitellmPlan:
    """One gateway. ``workers: auto`` is resolved on the host. Times are in seconds."""

    name: str = derived_from("gateway.hosts", reason="its part of budgets is counted by this name")
    fleet: str = derived_from("name", reason="several fleets may share a Redis")
    version: str = derived_from("gateway.version")
    lock: Path = derived_from("gateway.version", reason="the project's, else the shipped one")
    image: Image | None = derived_from("gateway.image", "gateway.runtime")
    refused: Mapping[str, tuple[RefusedReleases, ...]] = derived_from(
        "gateway.runtime",
        "accepted_advisories",
        reason="only for an image, whose packages no lock file pins",
    )
    listen: str = derived_from(
        "gateway.listen", "hosts.{host}.address", reason="if unset, the host's address"
    )
    port: int = derived_from("gateway.port")
    workers: int | Literal["auto"] = derived_from(
        "gateway.workers", reason="auto: from the cores and the memory of the host, at least two"
    )
    max_requests_before_restart: int | None = derived_from("gateway.max_requests_before_restart")
    jitter: int = derived_from(
        "gateway.max_requests_before_restart",
        reason="half of it, so that workers do not restart at the same time",
    )
    timeout: int = derived_from("gateway.timeout")
    stream_timeout: int | None = derived_from("gateway.stream_timeout")
    keepalive_timeout: int | None = derived_from("gateway.keepalive_timeout")
    cancel_on_disconnect: bool = derived_from("gateway.cancel_on_disconnect")
    ping_seconds: float = derived_from(
        f"gateway.extra.litellm_settings.{PING}",
        reason="otherwise a proxy can close the connection during a long prefill",
    )
    limits: Limits = derived_from("gateway.limits")
    budgets: tuple[Budget, ...] = derived_from("gateway.budgets")
    routing: Routing = derived_from("gateway.routing")
    retries: int = derived_from(
        "gateway.routing.retries",
        "models",
        reason="each other deployment of a model once; the client itself retries ten times",
    )
    cooldowns: bool = derived_from(
        "gateway.routing.cooldown_time",
        "gateway.routing.allowed_fails",
        "models",
        reason="a cooldown of a model's only engine would reject all requests for it",
    )
    redis: Redis | None = derived_from(
        "gateway.redis", reason="with 'install', the host is the address of that host"
    )
    database: DatabasePlan | None = derived_from("gateway.database")
    cache: Cache | None = derived_from("gateway.cache")
    usage: Usage | None = derived_from("gateway.usage")
    logging: Logging = derived_from("gateway.logging")
    metrics: bool = derived_from("gateway.metrics")
    metrics_port: int | None = derived_from("gateway.metrics.port")
    tls_servers: tuple[TlsServer, ...] = derived_from(
        "load_balancer", "gateway.url", reason="metrics report until when certificates are valid"
    )
    callbacks: tuple[str, ...] = derived_from("gateway.callbacks")
    modules: Mapping[str, ModulePlan] = derived_from("gateway.modules")
    guardrails: tuple[Guardrail, ...] = derived_from("gateway.guardrails")
    forward_client_headers: tuple[str, ...] = derived_from(
        "gateway.forward_client_headers", "aliases", reason="the model, and its aliases"
    )
    passthrough: Passthrough | None = derived_from("gateway.anthropic_passthrough")
    web_search: WebSearch | None = derived_from("gateway.web_search")
    environment: Values = derived_from("gateway.environment")
    extra: Mapping[str, Values] = derived_from("gateway.extra")
    routes: tuple[Route, ...] = derived_from("models")
    proofs: tuple[RunningProof, ...] = derived_from(
        "models", reason="what engines that already run must take in a session"
    )
    aliases: Mapping[str, str] = derived_from(
        "aliases",
        reason="each resolved to its model; with a tier, also Claude Code's own ids",
    )
    tiers: Mapping[str, str] = derived_from(
        "aliases",
        "gateway.foreign_ids",
        reason="they answer ids of Claude that the fleet does not serve, by the tier in the id",
    )
    group_tiers: Mapping[str, Mapping[str, str]] = derived_from(
        "developers",
        "aliases",
        "gateway.foreign_ids",
        reason="the groups whose tiers differ, as in their clients' settings",
    )
    probe: tuple[str, ...] = derived_from(
        "gateway.probe", "models", reason="if unset, the first model on an engine of the fleet"
    )
    drain_seconds: int = derived_from(
        "gateway.drain_seconds",
        "gateway.hosts",
        "load_balancer",
        reason="time for a load balancer, if there can be one, to notice that the gateway stops",
    )
    stop_timeout: int = derived_from(
        "gateway.stop_timeout",
        "gateway.timeout",
        "gateway.hosts",
        reason="a streamed answer can take longer than `timeout`, which limits its pauses",
    )
    fallbacks: Mapping[str, tuple[str, ...]] = derived_from("fallbacks", "aliases", reason=BY_NAME)
    context_window_fallbacks: Mapping[str, tuple[str, ...]] = derived_from(
        "context_window_fallbacks", "aliases", reason=BY_NAME
    )
    content_policy_fallbacks: Mapping[str, tuple[str, ...]] = derived_from(
        "content_policy_fallbacks", "aliases", reason=BY_NAME
    )
    openai_groups: tuple[str, ...] = derived_from(
        "developers", reason="the groups with `clients: [claude, openai]`"
    )
    mcp_servers: tuple[McpServer, ...] = derived_from("gateway.mcp_servers")
    mcp_groups: Mapping[str, tuple[str, ...]] = derived_from(
        "developers", reason="the `mcp_servers` of each group"
    )
    master_key: Secret = derived_from("gateway.master_key")
    keys: tuple[KeyPlan, ...] = derived_from("developers")
    grace: int = derived_from("keys.grace", reason="in seconds")


def litellm(fleet: Fleet) -> dict[str, LitellmPlan]:
    """Derive the gateways, by host. They differ only in their name and listening address."""
    if fleet.gateway is None:
        return {}
    hosts = [fleet.hosts[name] for name in fleet.gateway.hosts]
    first = _gateway(fleet, fleet.gateway, hosts[0])
    return {
        host.name: replace(first, name=host.name, listen=fleet.gateway.listen or host.address)
        for host in hosts
    }


def _gateway(fleet: Fleet, gateway: Gateway, host: Host) -> LitellmPlan:
    recycle, routing = gateway.max_requests_before_restart, gateway.routing
    deployments, names = routes(fleet), aliases(fleet)
    replicas = max(Counter(route.model for route in deployments).values())
    return LitellmPlan(
        name=host.name,
        fleet=fleet.name,
        version=gateway.version,
        lock=fleet.locks.path("litellm", gateway.version),
        image=gateway.image,
        refused=refused(fleet) if gateway.runtime == "docker" else {},
        listen=gateway.listen or host.address,
        port=gateway.port,
        workers=gateway.workers,
        max_requests_before_restart=recycle,
        jitter=round(recycle * JITTER) if recycle else 0,
        timeout=gateway.timeout,
        stream_timeout=gateway.stream_timeout,
        keepalive_timeout=gateway.keepalive_timeout,
        cancel_on_disconnect=gateway.cancel_on_disconnect,
        ping_seconds=gateway.extra.get("litellm_settings", {}).get(PING, 30),
        limits=gateway.limits,
        budgets=tuple(gateway.budgets.values()),
        routing=routing,
        retries=replicas - 1 if routing.retries is None else routing.retries,
        cooldowns=routing.cooldown_time != 0
        and (
            replicas > 1 or routing.cooldown_time is not None or routing.allowed_fails is not None
        ),
        redis=redis_connection(fleet, gateway.redis),
        database=database_connection(fleet),
        cache=gateway.cache,
        usage=gateway.usage,
        logging=gateway.logging,
        metrics=gateway.metrics,
        metrics_port=gateway.metrics_port,
        tls_servers=tls_servers(fleet),
        callbacks=gateway.callbacks,
        modules={module.name: ModulePlan(module.path, module.digest) for module in gateway.modules},
        guardrails=gateway.guardrails,
        forward_client_headers=tuple(
            name
            for model in gateway.forward_client_headers
            for name in (model, *(alias for alias, to in names.items() if to == model))
        ),
        passthrough=_passthrough(fleet, gateway),
        web_search=gateway.web_search,
        environment=gateway.environment,
        extra=gateway.extra,
        routes=deployments,
        proofs=running_proofs(fleet),
        aliases=names,
        tiers=tiers(fleet, gateway),
        group_tiers=group_tiers(fleet, gateway),
        probe=_probe_models(fleet)[:1] if gateway.probe is None else gateway.probe,
        drain_seconds=drain_seconds(fleet, gateway),
        stop_timeout=stop_timeout(
            fleet, gateway, STREAM if len(gateway.hosts) > 1 else STREAM_ALONE
        ),
        fallbacks=by_name(fleet.fallbacks, names),
        context_window_fallbacks=by_name(fleet.context_window_fallbacks, names),
        content_policy_fallbacks=by_name(fleet.content_policy_fallbacks, names),
        openai_groups=tuple(
            group.name for group in fleet.developers.values() if "openai" in group.clients
        ),
        mcp_servers=gateway.mcp_servers,
        mcp_groups={
            group.name: group.mcp_servers
            for group in fleet.developers.values()
            if group.mcp_servers
        },
        master_key=gateway.master_key,
        keys=keys(fleet),
        grace=fleet.keys.grace,
    )


def _probe_models(fleet: Fleet) -> tuple[str, ...]:
    """Return the models with tools on engines of the fleet: probes of these cost no money."""
    return tuple(
        model.name
        for model in fleet.models.values()
        if not isinstance(model, ProviderModel) and abilities(model).tools
    )


def _passthrough(fleet: Fleet, gateway: Gateway) -> Passthrough | None:
    if gateway.anthropic_passthrough is None:
        return None
    model = fleet.models[gateway.anthropic_passthrough]
    if not isinstance(model, ProviderModel):
        raise Unchecked(f"gateway.anthropic_passthrough names {model.name}, not Anthropic's API")
    [deployment, *_] = model.deployments
    return Passthrough(
        model=model.name, url=deployment.settings["url"], api_key=deployment.secrets["api_key"]
    )
