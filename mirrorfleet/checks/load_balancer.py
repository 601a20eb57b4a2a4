"""A load balancer that leads nowhere, or that lets keys be read on their way."""

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
                "has no gateway behind it.",
                "Add a 'gateway' section, or remove it.",
            )
        return
    yield from _tls(fleet, balancer)
    yield from _address(fleet, balancer, fleet.gateway)
    yield from _reached(fleet, balancer, fleet.gateway)


def _tls(fleet: Fleet, balancer: LoadBalancer) -> Iterator[Problem]:
    certificate = balancer.certificate
    if certificate is None and not balancer.plain:
        yield fleet.document.problem(
            ("load_balancer",),
            "has no 'certificate': developers' keys would come to it for all to read.",
            "Add one, or write plain: true where TLS ends before it.",
        )
    if certificate and balancer.plain:
        yield fleet.document.problem(
            ("load_balancer", "plain"), "is said beside a 'certificate'.", "Remove one of the two."
        )
    if balancer.key and not (certificate and certificate.push):
        yield fleet.document.problem(
            ("load_balancer", "key"),
            "is that of a certificate that is pushed, and none is.",
            "Remove it: a certificate at a path of the hosts has its key in the same file.",
        )
    if certificate and certificate.push and not balancer.key:
        yield fleet.document.problem(
            ("load_balancer", "certificate"), "is pushed without its private key.", "Add 'key'."
        )


def _address(fleet: Fleet, balancer: LoadBalancer, gateway: Gateway) -> Iterator[Problem]:
    """What developers' clients ask of a load balancer with TLS, said or derived."""
    if balancer.certificate is None or balancer.plain:
        return
    if gateway.url and gateway.url.startswith("http://"):
        yield fleet.document.problem(
            ("gateway", "url"),
            "is without TLS, and the load balancer has a certificate: developers' keys would go on "
            "their way for all to read, to where nobody listens.",
            "Write its https address.",
        )
    elif fleet.developers and len(balancer.hosts) == 1 and not gateway.url:
        said = balancer.listen if balancer.listen and not is_any(balancer.listen) else None
        host = fleet.hosts.get(balancer.hosts[0])
        derived = said or (host.address if host else "")
        if is_ip(derived):
            yield fleet.document.warning(
                ("load_balancer", "certificate"),
                f"is looked at by clients that ask for {derived}, and certificates are mostly for "
                "a name.",
                "Write that name as 'gateway.url'; or the address, if the certificate is for it.",
                given=(("gateway", "url"),),
            )


def _reached(fleet: Fleet, balancer: LoadBalancer, gateway: Gateway) -> Iterator[Problem]:
    """Where developers look for the load balancer, and where it looks for gateways."""
    if len(balancer.hosts) > 1 and not gateway.url:
        yield fleet.document.problem(
            ("load_balancer", "hosts"),
            f"are {len(balancer.hosts)}, and 'gateway.url' does not say under which name.",
            "Write the address that leads to those that are up: DNS, or an address that moves.",
            given=(("gateway", "url"),),
        )
    if balancer.listen and is_loopback(balancer.listen):
        yield fleet.document.problem(
            ("load_balancer", "listen"),
            f"is {balancer.listen}, which no developer reaches.",
            "Remove it.",
        )
    elif balancer.listen and len(balancer.hosts) > 1 and not is_any(balancer.listen):
        yield fleet.document.problem(
            ("load_balancer", "listen"),
            f"is {balancer.listen}, and {len(balancer.hosts)} hosts cannot have the same address.",
            "Remove it: each then listens on the address of its host.",
        )
    if gateway.listen and is_loopback(gateway.listen):
        for name in balancer.hosts:
            if name not in gateway.hosts:
                yield fleet.document.problem(
                    ("load_balancer", "hosts"),
                    f"has '{name}', from where no gateway is reached: they listen on "
                    f"{gateway.listen}.",
                    "Remove gateway.listen, or name the gateways' own hosts.",
                )
