"""The load balancer: HAProxy before the gateways, on hosts of its own or on theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.config.hosts import Host, chosen
from mirrorfleet.config.reader import Secret, Section


@dataclass(frozen=True)
class Certificate:
    """With TLS: a file that is pushed, its key beside it as a secret, or a file on the hosts."""

    push: Path | None
    path: str | None


@dataclass(frozen=True)
class LoadBalancer:
    hosts: tuple[str, ...]
    listen: str | None
    port: int
    certificate: Certificate | None
    key: Secret | None
    plain: bool


def load_balancer(said: Section, hosts: Mapping[str, Host]) -> LoadBalancer:
    certificate = said.section("certificate")
    return LoadBalancer(
        hosts=chosen(said, hosts),
        listen=said.get("listen"),
        port=said.get("port", 443 if "certificate" in said else 80),
        certificate=Certificate(certificate.path("push"), certificate.get("path"))
        if "certificate" in said
        else None,
        key=said.secret("key"),
        plain=said.get("plain", False),
    )
