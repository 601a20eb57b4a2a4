"""What each front door is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.config import Fleet, Front, Gateway, Secret
from mirrorfleet.config.addresses import is_any, is_loopback
from mirrorfleet.planning.litellm import STREAM, stop_timeout
from mirrorfleet.planning.provenance import comes


@dataclass(frozen=True)
class FrontPlan:
    """HAProxy on one host. ``gateways`` are where they listen, by the name of their host."""

    listen: str = comes(
        "front.listen", "hosts.{host}.address", because="the host's own address, if not said"
    )
    port: int = comes("front.port", because="443 with a certificate, else 80, if not said")
    certificate: Path | None = comes("front.certificate.push")
    certificate_path: str | None = comes("front.certificate.path")
    key: Secret | None = comes("front.key")
    gateways: Mapping[str, str] = comes("gateway.hosts", "hosts", "gateway.listen", "gateway.port")
    timeout: int = comes(
        "gateway.timeout", because="a minute longer: the gateway is the first to give up a turn"
    )
    stop_timeout: int = comes(
        "gateway.stop_timeout",
        "gateway.timeout",
        because="a minute longer: a streamed answer ends on its gateway first",
    )
    passthrough: bool = comes("gateway.anthropic_passthrough")


def front(fleet: Fleet) -> dict[str, FrontPlan]:
    """Derive the front door of every host that has one."""
    front, gateway = fleet.front, fleet.gateway
    if front is None or gateway is None:
        return {}
    return {name: _front(fleet, front, gateway, name) for name in front.hosts}


def _front(fleet: Fleet, front: Front, gateway: Gateway, host: str) -> FrontPlan:
    # Gateways that only their own host reaches have a front door each.
    alone = bool(gateway.listen and is_loopback(gateway.listen))
    return FrontPlan(
        listen=front.listen or fleet.hosts[host].address,
        port=front.port,
        certificate=front.certificate.push if front.certificate else None,
        certificate_path=front.certificate.path if front.certificate else None,
        key=front.key,
        gateways={
            name: _at(_listening(fleet, gateway, name), gateway.port)
            for name in ([host] if alone else gateway.hosts)
        },
        timeout=gateway.timeout + 60,
        stop_timeout=stop_timeout(gateway, STREAM) + 60,
        passthrough=gateway.anthropic_passthrough is not None,
    )


def _listening(fleet: Fleet, gateway: Gateway, host: str) -> str:
    listen = gateway.listen
    return fleet.hosts[host].address if listen is None or is_any(listen) else listen


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
