"""What each gateway is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mirrorfleet.config import (
    Fleet,
    Gateway,
    Host,
    Image,
    ProviderModel,
    Secret,
)
from mirrorfleet.config.litellm import Guardrail, Limits, Logging, Redis, Routing, Values
from mirrorfleet.config.problems import Unchecked
from mirrorfleet.engines.abilities import has_tools
from mirrorfleet.planning import database
from mirrorfleet.planning.database import DatabasePlan
from mirrorfleet.planning.keys import KeyPlan, keys
from mirrorfleet.planning.provenance import derived_from
from mirrorfleet.planning.redis import reached
from mirrorfleet.planning.routes import Route, aliases, by_name, routes

JITTER = 0.5
"""Workers recycle within this share of `max_requests_before_restart`.

Wide, so that one seldom has to wait until another one is replaced: they end one at a time.
"""

DRAIN = 5
"""Seconds; a load balancer that looks every second and believes the third answer needs three."""

STREAM = 1800
"""Seconds that a streamed answer may take: 32,000 tokens, 20 a second, and somewhat more."""

STREAM_ALONE = 600
"""The same, where nobody else is served until it has ended."""

PING = "sse_keepalive_ping_interval_seconds"
"""LiteLLM's name for the seconds of silence after which it pings a streaming client."""


BY_NAME = "under every name of a model: LiteLLM looks fallbacks up by the name that was asked"


@dataclass(frozen=True)
class Passthrough:
    """The API of Anthropic that developers reach untranslated, and with whose key."""

    model: str = derived_from("gateway.anthropic_passthrough")
    url: str = derived_from("models.{model}.url")
    api_key: Secret = derived_from("models.{model}.api_key")


@dataclass(frozen=True)
class LitellmPlan:
    """One gateway. ``workers`` is still `auto` where only the live host knows its cores."""

    version: str = derived_from("gateway.version")
    lock: Path = derived_from("gateway.version", reason="yours in locks/, else the shipped one")
    image: Image | None = derived_from("gateway.image", "gateway.runtime")
    listen: str = derived_from(
        "gateway.listen", "hosts.{host}.address", reason="the host's own address, if not said"
    )
    port: int = derived_from("gateway.port")
    workers: int | Literal["auto"] = derived_from(
        "gateway.workers", reason="auto: by the cores and the memory of the host, two at least"
    )
    max_requests_before_restart: int | None = derived_from("gateway.max_requests_before_restart")
    jitter: int = derived_from(
        "gateway.max_requests_before_restart",
        reason="half of it, so that the workers do not recycle all at once",
    )
    timeout: int = derived_from("gateway.timeout")
    stream_timeout: int | None = derived_from("gateway.stream_timeout")
    keepalive_timeout: int | None = derived_from("gateway.keepalive_timeout")
    cancel_on_disconnect: bool = derived_from("gateway.cancel_on_disconnect")
    ping_seconds: float = derived_from(
        f"gateway.extra.litellm_settings.{PING}",
        reason="else nothing is sent during a long prefill, and a proxy may close the connection",
    )
    limits: Limits = derived_from("gateway.limits")
    routing: Routing = derived_from("gateway.routing")
    retries: int = derived_from(
        "gateway.routing.retries",
        "models",
        reason="the other deployments of a model, once each: the client tries ten times itself",
    )
    cooldowns: bool = derived_from(
        "gateway.routing.cooldown_time",
        "gateway.routing.allowed_fails",
        "models",
        reason="to rest the only engine of a model would refuse everybody's next requests",
    )
    redis: Redis | None = derived_from(
        "gateway.redis", reason="one that is installed here listens on its host's address"
    )
    database: DatabasePlan | None = derived_from("gateway.database")
    logging: Logging = derived_from("gateway.logging")
    metrics: bool = derived_from("gateway.metrics")
    metrics_port: int | None = derived_from("gateway.metrics.port")
    callbacks: tuple[str, ...] = derived_from("gateway.callbacks")
    guardrails: tuple[Guardrail, ...] = derived_from("gateway.guardrails")
    forward_client_headers: tuple[str, ...] = derived_from(
        "gateway.forward_client_headers", "aliases", reason="a model, and its other names"
    )
    passthrough: Passthrough | None = derived_from("gateway.anthropic_passthrough")
    environment: Values = derived_from("gateway.environment")
    extra: Mapping[str, Values] = derived_from("gateway.extra")
    routes: tuple[Route, ...] = derived_from("models")
    aliases: Mapping[str, str] = derived_from(
        "aliases",
        reason="each straight to its model; a tier also answers to Claude Code's own ids",
    )
    probe: tuple[str, ...] = derived_from(
        "gateway.probe", "models", reason="the first model on an engine of ours, if not said"
    )
    drain_seconds: int = derived_from(
        "gateway.drain_seconds",
        "gateway.hosts",
        "load_balancer",
        reason="time to be noticed for load balancers, where there may be one",
    )
    stop_timeout: int = derived_from(
        "gateway.stop_timeout",
        "gateway.timeout",
        "gateway.hosts",
        reason="a streamed answer may take longer than `timeout`, which bounds its pauses",
    )
    fallbacks: Mapping[str, tuple[str, ...]] = derived_from("fallbacks", "aliases", reason=BY_NAME)
    context_window_fallbacks: Mapping[str, tuple[str, ...]] = derived_from(
        "context_window_fallbacks", "aliases", reason=BY_NAME
    )
    content_policy_fallbacks: Mapping[str, tuple[str, ...]] = derived_from(
        "content_policy_fallbacks", "aliases", reason=BY_NAME
    )
    master_key: Secret = derived_from("gateway.master_key")
    keys: tuple[KeyPlan, ...] = derived_from("developers")
    grace: int = derived_from("keys.grace", reason="in seconds")


def litellm(fleet: Fleet) -> dict[str, LitellmPlan]:
    """Derive the gateway of every host that is one: all are the same but for where they listen."""
    if fleet.gateway is None:
        return {}
    hosts = [fleet.hosts[name] for name in fleet.gateway.hosts]
    first = _gateway(fleet, fleet.gateway, hosts[0])
    return {
        host.name: replace(first, listen=fleet.gateway.listen or host.address) for host in hosts
    }


def _gateway(fleet: Fleet, gateway: Gateway, host: Host) -> LitellmPlan:
    recycle, routing = gateway.max_requests_before_restart, gateway.routing
    deployments, names = routes(fleet), aliases(fleet)
    replicas = max(Counter(route.model for route in deployments).values())
    return LitellmPlan(
        version=gateway.version,
        lock=fleet.locks.path("litellm", gateway.version),
        image=gateway.image,
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
        routing=routing,
        retries=replicas - 1 if routing.retries is None else routing.retries,
        cooldowns=routing.cooldown_time != 0
        and (
            replicas > 1 or routing.cooldown_time is not None or routing.allowed_fails is not None
        ),
        redis=reached(fleet, gateway.redis),
        database=database.reached(fleet),
        logging=gateway.logging,
        metrics=gateway.metrics,
        metrics_port=gateway.metrics_port,
        callbacks=gateway.callbacks,
        guardrails=gateway.guardrails,
        forward_client_headers=tuple(
            each
            for model in gateway.forward_client_headers
            for each in (model, *(name for name, to in names.items() if to == model))
        ),
        passthrough=_passthrough(fleet, gateway),
        environment=gateway.environment,
        extra=gateway.extra,
        routes=deployments,
        aliases=names,
        probe=_own(fleet)[:1] if gateway.probe is None else gateway.probe,
        drain_seconds=_drain(fleet, gateway),
        stop_timeout=stop_timeout(gateway, STREAM if len(gateway.hosts) > 1 else STREAM_ALONE),
        fallbacks=by_name(fleet.fallbacks, names),
        context_window_fallbacks=by_name(fleet.context_window_fallbacks, names),
        content_policy_fallbacks=by_name(fleet.content_policy_fallbacks, names),
        master_key=gateway.master_key,
        keys=keys(fleet),
        grace=fleet.keys.grace,
    )


def _own(fleet: Fleet) -> tuple[str, ...]:
    """Return the models on engines of ours that have tools: to ask one costs nobody anything."""
    return tuple(
        model.name
        for model in fleet.models.values()
        if not isinstance(model, ProviderModel) and has_tools(model)
    )


def _drain(fleet: Fleet, gateway: Gateway) -> int:
    if gateway.drain_seconds is not None:
        return gateway.drain_seconds
    return DRAIN if fleet.load_balancer or len(gateway.hosts) > 1 else 0


def stop_timeout(gateway: Gateway, stream: int) -> int:
    """Return in how many seconds turns end, of which a streamed one may take ``stream``."""
    return gateway.stop_timeout or max(gateway.timeout, stream)


def _passthrough(fleet: Fleet, gateway: Gateway) -> Passthrough | None:
    if gateway.anthropic_passthrough is None:
        return None
    model = fleet.models[gateway.anthropic_passthrough]
    if not isinstance(model, ProviderModel):
        raise Unchecked(f"gateway.anthropic_passthrough names {model.name}, not Anthropic's API")
    return Passthrough(
        model=model.name, url=model.settings["url"], api_key=model.secrets["api_key"]
    )
