"""The TLS servers whose certificates a gateway's metrics report."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from mirrorfleet.config import Fleet
from mirrorfleet.config.addresses import is_any
from mirrorfleet.planning.provenance import derived_from


@dataclass(frozen=True)
class TlsServer:
    """A server that developers' machines connect to. ``server_name``: what they ask for (SNI)."""

    name: str = derived_from("load_balancer.hosts", "gateway.url")
    address: str = derived_from("load_balancer.listen", "hosts", "gateway.url")
    port: int = derived_from("load_balancer.port", "gateway.url")
    server_name: str = derived_from("gateway.url", reason="if unset, the address")


def tls_servers(fleet: Fleet) -> tuple[TlsServer, ...]:
    """Return the fleet's load balancers with a certificate, or a foreign one at ``gateway.url``.

    None if gateways have no metrics.
    """
    if fleet.gateway is None or not fleet.gateway.metrics:
        return ()
    url, balancer = urlsplit(fleet.gateway.url or ""), fleet.load_balancer
    if balancer is None:
        if url.scheme != "https" or not url.hostname:
            return ()
        return (TlsServer(url.hostname, url.hostname, url.port or 443, url.hostname),)
    if balancer.certificate is None:
        return ()
    found = []
    for host in balancer.hosts:
        listen = balancer.listen
        address = fleet.hosts[host].address if listen is None or is_any(listen) else listen
        found.append(TlsServer(host, address, balancer.port, url.hostname or address))
    return tuple(found)
