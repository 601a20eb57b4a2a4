"""The load balancer: HAProxy before the gateways, on hosts of its own or on theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.config.hosts import Host, chosen
from mirrorfleet.config.reader import Secret, Section


@dataclass(frozen=True)
class Certificate:
    """A certificate for TLS: ``push`` is a file of the controller, ``path`` one of the hosts."""

    push: Path | None
    path: str | None


@dataclass(frozen=True)
class LoadBalancer:
    """``listen`` is ``None`` for the address of each host. ``plain`` is HTTP without TLS."""

    hosts: tuple[str, ...]
    listen: str | None
    port: int
    certificate: Certificate | None
    key: Secret | None
    plain: bool


def load_balancer(section: Section, hosts: Mapping[str, Host]) -> LoadBalancer:
    """Read ``load_balancer``."""
    certificate = section.mapping("certificate") if "certificate" in section else None
    return LoadBalancer(
        hosts=chosen(section, hosts),
        listen=section.get("listen"),
        port=section.get("port") or (443 if certificate else 80),
        certificate=Certificate(certificate.path("push"), certificate.get("path"))
        if certificate
        else None,
        key=section.secret("key"),
        plain=section["plain"],
    )
