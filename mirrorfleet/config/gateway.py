"""The gateways: LiteLLM, the same on every host listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mirrorfleet.config.database import Database, database
from mirrorfleet.config.hosts import Host, chosen
from mirrorfleet.config.image import Image, image
from mirrorfleet.config.litellm import (
    Guardrail,
    Limits,
    Logging,
    Redis,
    Routing,
    Values,
    guardrail,
    limits,
    logging,
    redis,
    routing,
    values,
)
from mirrorfleet.config.reader import Secret, Section

Server = Literal["uvicorn", "gunicorn", "granian"]
Runtime = Literal["systemd", "docker"]


@dataclass(frozen=True)
class Gateway:
    """What is said of the gateways. ``metrics`` says whether they measure; its port is optional."""

    hosts: tuple[str, ...]
    version: str
    runtime: Runtime
    image: Image | None
    url: str | None
    listen: str | None
    port: int
    server: Server
    workers: int | Literal["auto"]
    max_requests_before_restart: int | None
    timeout: int
    stream_timeout: int | None
    keepalive_timeout: int | None
    cancel_on_disconnect: bool
    limits: Limits
    routing: Routing
    redis: Redis | None
    database: Database | None
    salt_key: Secret | None
    logging: Logging
    metrics: bool
    metrics_port: int | None
    callbacks: tuple[str, ...]
    guardrails: tuple[Guardrail, ...]
    forward_client_headers: tuple[str, ...]
    anthropic_passthrough: str | None
    environment: Values
    extra: Mapping[str, Values]
    probe: tuple[str, ...] | None
    drain_seconds: int | None
    stop_timeout: int | None
    master_key: Secret

    @property
    def processes(self) -> int:
        """How many processes serve, at the least: each has a memory of its own."""
        return len(self.hosts) * (2 if self.workers == "auto" else self.workers)


def gateway(said: Section, hosts: Mapping[str, Host]) -> Gateway:
    master_key = said.secret("master_key")
    assert master_key, "the schema requires it"
    return Gateway(
        hosts=chosen(said, hosts),
        version=said["version"],
        runtime=said.get("runtime", "systemd"),
        image=image(said),
        url=said.get("url"),
        listen=said.get("listen"),
        port=said.get("port", 4000),
        server=said.get("server", "uvicorn"),
        workers=said.get("workers", "auto"),
        max_requests_before_restart=said.get("max_requests_before_restart"),
        timeout=said.get("timeout", 600),
        stream_timeout=said.get("stream_timeout"),
        keepalive_timeout=said.get("keepalive_timeout"),
        cancel_on_disconnect=said.get("cancel_on_disconnect", False),
        limits=limits(said.section("limits")),
        routing=routing(said.section("routing")),
        redis=redis(said.section("redis")) if "redis" in said else None,
        database=database(said.section("database")) if "database" in said else None,
        salt_key=said.secret("salt_key"),
        logging=logging(said.section("logging")),
        metrics="metrics" in said,
        metrics_port=said.section("metrics").get("port"),
        callbacks=said.words("callbacks"),
        guardrails=tuple(guardrail(each) for each in said.section("guardrails").sections()),
        forward_client_headers=said.words("forward_client_headers"),
        anthropic_passthrough=said.get("anthropic_passthrough"),
        environment=values(said.section("environment")),
        extra={each.name: values(each) for each in said.section("extra").sections()},
        probe=said.words("probe") if "probe" in said else None,
        drain_seconds=said.get("drain_seconds"),
        stop_timeout=said.get("stop_timeout"),
        master_key=master_key,
    )
