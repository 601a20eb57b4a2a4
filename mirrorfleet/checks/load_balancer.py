"""Problems of the load balancer: missing gateways, TLS, and unreachable addresses."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, Gateway, LoadBalancer
from mirrorfleet.config.addresses import is_any, is_ip, is_loopback
from mirrorfleet.config.problems import Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    balancer = fleet.load_balancer
    if balancer is None:
        return
    if fleet.gateway is None:
        if not fleet.document.says("gateway"):
            yield fleet.document.problem(
                ("load_balancer",),
                "needs a gateway.",
                "Add a 'gateway' section, or remove it.",
            )
        return
    yield from _tls(fleet, balancer)
    yield from _address(fleet, balancer, fleet.gateway)
    yield from _reachability(fleet, balancer, fleet.gateway)


def _tls(fleet: Fleet, balancer: LoadBalancer) -> Iterator[Problem]:
    certificate = balancer.certificate
    if certificate is None and not balancer.plain:
        yield fleet.document.problem(
            ("load_balancer",),
            "has no 'certificate': developers' keys would be sent unencrypted.",
            "Add a certificate, or write plain: true if another server before it terminates TLS.",
        )
    if certificate and balancer.plain:
        yield fleet.document.problem(
            ("load_balancer", "plain"),
            "cannot be combined with 'certificate'.",
            "Remove one of the two.",
        )
    if balancer.key and not (certificate and certificate.push):
        yield fleet.document.problem(
            ("load_balancer", "key"),
            "applies only with certificate: {push: FILE}.",
            "Remove it: a certificate file on the hosts contains its private key.",
        )
    if certificate and certificate.push and not balancer.key:
        yield fleet.document.problem(
            ("load_balancer", "certificate"),
            "needs its private key.",
            "Add load_balancer.key.",
        )


def _address(fleet: Fleet, balancer: LoadBalancer, gateway: Gateway) -> Iterator[Problem]:
    """Yield problems of the URL of a load balancer with TLS, written or derived."""
    if balancer.certificate is None or balancer.plain:
        return
    if gateway.url and gateway.url.startswith("http://"):
        yield fleet.document.problem(
            ("gateway", "url"),
            f"is '{gateway.url}', but the load balancer has a certificate and accepts only https.",
            "Write its https URL.",
        )
    elif fleet.developers and len(balancer.hosts) == 1 and not gateway.url:
        listen = balancer.listen if balancer.listen and not is_any(balancer.listen) else None
        host = fleet.hosts.get(balancer.hosts[0])
        derived = listen or (host.address if host else "")
        if is_ip(derived):
            yield fleet.document.warning(
                ("load_balancer", "certificate"),
                f"must be valid for {derived}, because clients connect to this address; most "
                "certificates are for a name.",
                f"Set gateway.url to https://NAME, or to https://{derived} if the certificate is "
                "valid for the address.",
                given=(("gateway", "url"),),
            )


def _reachability(fleet: Fleet, balancer: LoadBalancer, gateway: Gateway) -> Iterator[Problem]:
    """Yield problems of the addresses between developers, load balancers and gateways."""
    if len(balancer.hosts) > 1 and not gateway.url:
        yield fleet.document.problem(
            ("load_balancer", "hosts"),
            f"{len(balancer.hosts)} load balancers need one shared address.",
            "Set gateway.url to a URL with a DNS name or a floating IP address for all of them.",
            given=(("gateway", "url"),),
        )
    if balancer.listen and is_loopback(balancer.listen):
        yield fleet.document.problem(
            ("load_balancer", "listen"),
            f"is {balancer.listen}, which developers' machines cannot reach.",
            "Remove it.",
        )
    elif balancer.listen and len(balancer.hosts) > 1 and not is_any(balancer.listen):
        yield fleet.document.problem(
            ("load_balancer", "listen"),
            f"is {balancer.listen}, but {len(balancer.hosts)} hosts cannot share one address.",
            "Remove it: then each load balancer listens on the address of its host.",
        )
    if gateway.listen and is_loopback(gateway.listen):
        for name in balancer.hosts:
            if name not in gateway.hosts:
                yield fleet.document.problem(
                    ("load_balancer", "hosts"),
                    f"'{name}' cannot reach the gateways, which listen on {gateway.listen}.",
                    "Remove gateway.listen, or use the gateways' hosts.",
                )
