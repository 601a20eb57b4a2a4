"""The plan of each load balancer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.config import Fleet, Gateway, LoadBalancer, Secret
from mirrorfleet.config.addresses import is_any, is_loopback
from mirrorfleet.planning.provenance import derived_from
from mirrorfleet.planning.rollout import balanced_rings
from mirrorfleet.planning.stopping import STREAM, stop_timeout


@dataclass(frozen=True)
class LoadBalancerPlan:
    """HAProxy on one host. ``gateways``: their ADDRESS:PORT, by host. Times are in seconds."""

    listen: str = derived_from(
        "load_balancer.listen", "hosts.{host}.address", reason="if unset, the host's address"
    )
    port: int = derived_from(
        "load_balancer.port", reason="if unset, 443 with a certificate, else 80"
    )
    certificate: Path | None = derived_from("load_balancer.certificate.push")
    certificate_path: str | None = derived_from("load_balancer.certificate.path")
    key: Secret | None = derived_from("load_balancer.key")
    gateways: Mapping[str, str] = derived_from(
        "gateway.hosts", "hosts", "gateway.listen", "gateway.port"
    )
    rings: Mapping[str, tuple[str, ...]] = derived_from(
        "rollout.rings", "hosts", reason="the gateways of each ring"
    )
    timeout: int = derived_from(
        "gateway.timeout", reason="one minute more, so that the gateway times out first"
    )
    stop_timeout: int = derived_from(
        "gateway.stop_timeout",
        "gateway.timeout",
        reason="one minute more, so that streamed answers end on the gateway first",
    )
    passthrough: bool = derived_from("gateway.anthropic_passthrough")


def load_balancer(fleet: Fleet) -> dict[str, LoadBalancerPlan]:
    """Derive the load balancer of every host that has one."""
    balancer, gateway = fleet.load_balancer, fleet.gateway
    if balancer is None or gateway is None:
        return {}
    return {name: _load_balancer(fleet, balancer, gateway, name) for name in balancer.hosts}


def _load_balancer(
    fleet: Fleet, balancer: LoadBalancer, gateway: Gateway, host: str
) -> LoadBalancerPlan:
    # Gateways on a loopback address need a load balancer each, on the same host.
    local_only = bool(gateway.listen and is_loopback(gateway.listen))
    return LoadBalancerPlan(
        listen=balancer.listen or fleet.hosts[host].address,
        port=balancer.port,
        certificate=balancer.certificate.push if balancer.certificate else None,
        certificate_path=balancer.certificate.path if balancer.certificate else None,
        key=balancer.key,
        gateways={
            name: _endpoint(_listen_address(fleet, gateway, name), gateway.port)
            for name in ([host] if local_only else gateway.hosts)
        },
        rings={} if local_only else balanced_rings(fleet),
        timeout=gateway.timeout + 60,
        stop_timeout=stop_timeout(fleet, gateway, STREAM) + 60,
        passthrough=gateway.anthropic_passthrough is not None,
    )


def _listen_address(fleet: Fleet, gateway: Gateway, host: str) -> str:
    listen = gateway.listen
    return fleet.hosts[host].address if listen is None or is_any(listen) else listen


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
