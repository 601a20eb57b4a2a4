"""A front door that leads nowhere, or that lets keys be read on their way."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, Front, Gateway
from mirrorfleet.config.addresses import is_any, is_ip, is_loopback
from mirrorfleet.config.problems import Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    front = fleet.front
    if front is None:
        return
    if fleet.gateway is None:
        if not fleet.document.says("gateway"):
            yield fleet.document.problem(
                ("front",), "has no gateway behind it.", "Add a 'gateway' section, or remove it."
            )
        return
    yield from _tls(fleet, front)
    yield from _address(fleet, front, fleet.gateway)
    yield from _reached(fleet, front, fleet.gateway)


def _tls(fleet: Fleet, front: Front) -> Iterator[Problem]:
    certificate = front.certificate
    if certificate is None and not front.plain:
        yield fleet.document.problem(
            ("front",),
            "has no 'certificate': developers' keys would come to it for all to read.",
            "Add one, or write plain: true where TLS ends before it.",
        )
    if certificate and front.plain:
        yield fleet.document.problem(
            ("front", "plain"), "is said beside a 'certificate'.", "Remove one of the two."
        )
    if front.key and not (certificate and certificate.push):
        yield fleet.document.problem(
            ("front", "key"),
            "is that of a certificate that is pushed, and none is.",
            "Remove it: a certificate at a path of the hosts has its key in the same file.",
        )
    if certificate and certificate.push and not front.key:
        yield fleet.document.problem(
            ("front", "certificate"), "is pushed without its private key.", "Add 'key'."
        )


def _address(fleet: Fleet, front: Front, gateway: Gateway) -> Iterator[Problem]:
    """What developers' clients ask of a front door with TLS, said or derived."""
    if front.certificate is None or front.plain:
        return
    if gateway.url and gateway.url.startswith("http://"):
        yield fleet.document.problem(
            ("gateway", "url"),
            "is without TLS, and the front door has a certificate: developers' keys would go on "
            "their way for all to read, to where nobody listens.",
            "Write its https address.",
        )
    elif fleet.developers and len(front.hosts) == 1 and not gateway.url:
        said = front.listen if front.listen and not is_any(front.listen) else None
        host = fleet.hosts.get(front.hosts[0])
        derived = said or (host.address if host else "")
        if is_ip(derived):
            yield fleet.document.warning(
                ("front", "certificate"),
                f"is looked at by clients that ask for {derived}, and certificates are mostly for "
                "a name.",
                "Write that name as 'gateway.url'; or the address, if the certificate is for it.",
                given=(("gateway", "url"),),
            )


def _reached(fleet: Fleet, front: Front, gateway: Gateway) -> Iterator[Problem]:
    """Where developers look for the front door, and where it looks for gateways."""
    if len(front.hosts) > 1 and not gateway.url:
        yield fleet.document.problem(
            ("front", "hosts"),
            f"are {len(front.hosts)}, and 'gateway.url' does not say under which name.",
            "Write the address that leads to those that are up: DNS, or an address that moves.",
            given=(("gateway", "url"),),
        )
    if front.listen and is_loopback(front.listen):
        yield fleet.document.problem(
            ("front", "listen"), f"is {front.listen}, which no developer reaches.", "Remove it."
        )
    elif front.listen and len(front.hosts) > 1 and not is_any(front.listen):
        yield fleet.document.problem(
            ("front", "listen"),
            f"is {front.listen}, and {len(front.hosts)} hosts cannot have the same address.",
            "Remove it: each then listens on the address of its host.",
        )
    if gateway.listen and is_loopback(gateway.listen):
        for name in front.hosts:
            if name not in gateway.hosts:
                yield fleet.document.problem(
                    ("front", "hosts"),
                    f"has '{name}', from where no gateway is reached: they listen on "
                    f"{gateway.listen}.",
                    "Remove gateway.listen, or name the gateways' own hosts.",
                )
