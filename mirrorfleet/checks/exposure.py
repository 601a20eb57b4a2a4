"""Engines and gateways on public addresses, and keys and prompts that leave without TLS.

For the name of a listening host, the fleet file does not have the address. In a URL, a name counts
as public unless it is one of a private network.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from mirrorfleet.config import EngineModel, Fleet, Gateway, ProviderModel
from mirrorfleet.config.addresses import is_any, is_ip, is_public
from mirrorfleet.config.problems import Problem
from mirrorfleet.engines.registry import engine_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        if not isinstance(model, ProviderModel):
            yield from _engine(fleet, model)
    if fleet.gateway:
        yield from _gateway(fleet, fleet.gateway)


def _engine(fleet: Fleet, model: EngineModel) -> Iterator[Problem]:
    listening = [fleet.hosts[name].address for name in model.hosts if name in fleet.hosts]
    public = next(filter(is_public, listening), None)
    if public is None:
        return
    engine = engine_of(model)
    place = f"listens on the public address {public}"
    if not engine.key_variable:
        yield fleet.document.problem(
            ("models", model.name),
            f"{place}, and {engine.title} does not support keys.",
            "Use a private address.",
        )
    elif model.api_key is None:
        yield fleet.document.problem(
            ("models", model.name),
            f"{place} without a key.",
            "Use a private address, or add an 'api_key'.",
        )
    elif engine.guards_all_paths or (
        fleet.firewall.on
        and all(fleet.hosts[name].firewall for name in model.hosts if name in fleet.hosts)
    ):
        yield fleet.document.warning(
            ("models", model.name),
            f"{place} without TLS: prompts and answers are not encrypted.",
            "Use a private address.",
        )
    else:
        yield fleet.document.warning(
            ("models", model.name),
            f"{place}, and {engine.title} requires its key on some endpoints only.",
            "Use a private address, or remove 'firewall: none'.",
        )


def _gateway(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    yield from _plain_url(fleet, gateway)
    open_to = next(
        (address for address in listeners(fleet, gateway) if is_public(address) or is_any(address)),
        None,
    )
    if open_to is None:
        return
    where = "all addresses of its host" if is_any(open_to) else f"the public address {open_to}"
    if not (gateway.url or "").startswith("https://"):
        yield fleet.document.warning(
            ("gateway", "listen" if gateway.listen else "hosts"),
            f"listens on {where} without TLS: developers' keys are not encrypted.",
            "Put a load balancer with TLS before it, and write its https URL as gateway.url.",
            given=(("gateway", "url"),),
        )
    if gateway.metrics_port:
        yield fleet.document.problem(
            ("gateway", "metrics", "port"),
            f"listens on {where} without a key.",
            "Listen on a private address, or write metrics: {} and scrape with the master key.",
        )


PRIVATE = ("localhost", "local", "internal", "lan", "home.arpa", "intranet", "corp", "private")
"""Ends of names that no public DNS has."""


def _plain_url(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    """Warn of a URL without TLS, unless its name or address is that of a private network."""
    if fleet.load_balancer and not fleet.load_balancer.plain:
        return  # the URL must be https, which another check says
    url = urlsplit(gateway.url or "")
    name = (url.hostname or "").removesuffix(".")
    private = "." not in name or name.endswith(tuple(f".{end}" for end in PRIVATE))
    if url.scheme != "http" or (not is_public(name) if is_ip(name) else private):
        return
    yield fleet.document.warning(
        ("gateway", "url"),
        f"is {gateway.url}, without TLS: prompts and keys can be read on the way.",
        f"Write https://{url.netloc}, with a load balancer that has a certificate.",
    )


def listeners(fleet: Fleet, gateway: Gateway) -> list[str]:
    """Return the addresses on which the gateways listen."""
    if gateway.listen:
        return [gateway.listen]
    return [fleet.hosts[name].address for name in gateway.hosts if name in fleet.hosts]
