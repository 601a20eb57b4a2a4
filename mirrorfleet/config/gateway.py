"""The gateways: LiteLLM, the same on every host listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mirrorfleet.config.budgets import Budget, budgets
from mirrorfleet.config.cache import Cache, cache
from mirrorfleet.config.database import Database, database
from mirrorfleet.config.hosts import Host, chosen
from mirrorfleet.config.image import Image, image
from mirrorfleet.config.limits import Limits, limits
from mirrorfleet.config.litellm import (
    Guardrail,
    Logging,
    Redis,
    Routing,
    Values,
    guardrail,
    logging,
    redis,
    routing,
    values,
)
from mirrorfleet.config.mcp import McpServer, mcp_servers
from mirrorfleet.config.modules import Module, modules
from mirrorfleet.config.reader import Secret, Section
from mirrorfleet.config.usage import Usage, usage
from mirrorfleet.config.web_search import WebSearch, web_search

Runtime = Literal["systemd", "docker"]
ForeignIds = Literal["by_tier", "reject"]


@dataclass(frozen=True)
class Gateway:
    """LiteLLM on every gateway host. ``None`` stands for a derived value or LiteLLM's own default.

    ``metrics`` is whether they export metrics; ``metrics_port`` is optional. Times are in seconds.
    """

    hosts: tuple[str, ...]
    version: str
    runtime: Runtime
    image: Image | None
    url: str | None
    listen: str | None
    port: int
    workers: int | Literal["auto"]
    max_requests_before_restart: int | None
    timeout: int
    stream_timeout: int | None
    keepalive_timeout: int | None
    cancel_on_disconnect: bool
    limits: Limits
    budgets: Mapping[str, Budget]
    routing: Routing
    redis: Redis | None
    database: Database | None
    cache: Cache | None
    usage: Usage | None
    salt_key: Secret | None
    logging: Logging
    metrics: bool
    metrics_port: int | None
    callbacks: tuple[str, ...]
    modules: tuple[Module, ...]
    guardrails: tuple[Guardrail, ...]
    forward_client_headers: tuple[str, ...]
    anthropic_passthrough: str | None
    web_search: WebSearch | None
    mcp_servers: tuple[McpServer, ...]
    foreign_ids: ForeignIds
    environment: Values
    extra: Mapping[str, Values]
    probe: tuple[str, ...] | None
    drain_seconds: int | None
    stop_timeout: int | None
    master_key: Secret

    @property
    def processes(self) -> int:
        """Return the least number of worker processes. Each has its own memory."""
        return len(self.hosts) * (2 if self.workers == "auto" else self.workers)


def gateway(section: Section, hosts: Mapping[str, Host]) -> Gateway:
    """Read ``gateway``."""
    return Gateway(
        hosts=chosen(section, hosts),
        version=section["version"],
        runtime=section["runtime"],
        image=image(section),
        url=section.get("url"),
        listen=section.get("listen"),
        port=section["port"],
        workers=section["workers"],
        max_requests_before_restart=section.get("max_requests_before_restart"),
        timeout=section["timeout"],
        stream_timeout=section.get("stream_timeout"),
        keepalive_timeout=section.get("keepalive_timeout"),
        cancel_on_disconnect=section["cancel_on_disconnect"],
        limits=limits(section.mapping("limits")),
        budgets=budgets(section.mapping("budgets")),
        routing=routing(section.mapping("routing")),
        redis=redis(section.mapping("redis")) if "redis" in section else None,
        database=database(section.mapping("database")) if "database" in section else None,
        cache=cache(section.mapping("cache")) if "cache" in section else None,
        usage=usage(section.mapping("usage")) if "usage" in section else None,
        salt_key=section.secret("salt_key"),
        logging=logging(section.mapping("logging")),
        metrics="metrics" in section,
        metrics_port=section.mapping("metrics").get("port"),
        callbacks=section.strings("callbacks"),
        modules=modules(section),
        guardrails=tuple(guardrail(each) for each in section.mapping("guardrails").mappings()),
        forward_client_headers=section.strings("forward_client_headers"),
        anthropic_passthrough=section.get("anthropic_passthrough"),
        web_search=web_search(section.mapping("web_search")) if "web_search" in section else None,
        mcp_servers=mcp_servers(section),
        foreign_ids=section["foreign_ids"],
        environment=values(section.mapping("environment")),
        extra={each.name: values(each) for each in section.mapping("extra").mappings()},
        probe=section.strings("probe") if "probe" in section else None,
        drain_seconds=section.get("drain_seconds"),
        stop_timeout=section.get("stop_timeout"),
        master_key=section.required_secret("master_key"),
    )
