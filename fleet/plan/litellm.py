"""What each gateway is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fleet.plan.routes import Route, aliases, routes
from fleet.plan.why import comes
from fleet.spec import Fleet, Host, Secret

JITTER = 0.1
"""Workers recycle within this share of `max_requests_before_restart`, so never all at once."""


@dataclass(frozen=True)
class LitellmPlan:
    """One gateway. ``workers`` is still `auto` where only the live host knows its cores."""

    version: str = comes("gateway.version")
    listen: str = comes("hosts.{host}.address")
    port: int = comes("gateway.port")
    workers: int | Literal["auto"] = comes(
        "gateway.workers", because="auto: by the cores and the memory of the host, two at least"
    )
    max_requests_before_restart: int | None = comes("gateway.max_requests_before_restart")
    jitter: int = comes(
        "gateway.max_requests_before_restart",
        because="a tenth of it, so that the workers do not recycle all at once",
    )
    timeout: int = comes("gateway.timeout")
    routes: tuple[Route, ...] = comes("models")
    aliases: Mapping[str, str] = comes(
        "aliases",
        because="each straight to its model; a tier also answers to Claude Code's own ids",
    )
    fallbacks: Mapping[str, tuple[str, ...]] = comes("fallbacks")
    context_window_fallbacks: Mapping[str, tuple[str, ...]] = comes("context_window_fallbacks")
    master_key: Secret = comes("gateway.master_key")
    keys: Mapping[str, Secret] = comes("developers", because="of each group, its key")


def litellm(fleet: Fleet, host: Host) -> LitellmPlan | None:
    """Derive the gateway of a host, or ``None`` where there is none."""
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
        routes=routes(fleet),
        aliases=aliases(fleet),
        fallbacks=fleet.fallbacks,
        context_window_fallbacks=fleet.context_window_fallbacks,
        master_key=gateway.master_key,
        keys={group.name: group.key for group in fleet.developers.values()},
    )
