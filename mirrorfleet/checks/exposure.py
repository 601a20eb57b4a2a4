"""Servers of ours that more people reach than are meant to.

Addresses are judged by their number; who reaches a host by its name, this file does not tell.
"""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import EngineModel, Fleet, Gateway, ProviderModel
from mirrorfleet.config.addresses import is_any, is_public
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
    place = f"listens on {public}, an address of the internet"
    if not engine.key_variable:
        yield fleet.document.problem(
            ("models", model.name),
            f"{place}, and {engine.title} asks nobody for a key.",
            "Use a private address.",
        )
    elif model.api_key is None:
        yield fleet.document.problem(
            ("models", model.name),
            f"{place}, and asks nobody for a key.",
            "Use a private address, or add an 'api_key'.",
        )
    elif engine.guards_all_paths or (
        fleet.firewall.on
        and all(fleet.hosts[name].firewall for name in model.hosts if name in fleet.hosts)
    ):
        yield fleet.document.warning(
            ("models", model.name),
            f"{place}: prompts and answers travel there without TLS.",
            "Use a private address.",
        )
    else:
        yield fleet.document.warning(
            ("models", model.name),
            f"{place}, and {engine.title} asks for its key on some of its endpoints only.",
            "Use a private address, or our firewall.",
        )


def _gateway(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    open_to = next(
        (address for address in listeners(fleet, gateway) if is_public(address) or is_any(address)),
        None,
    )
    if open_to is None:
        return
    what = "every address of its host" if is_any(open_to) else f"{open_to}, open to the internet"
    if not (gateway.url or "").startswith("https://"):
        yield fleet.document.warning(
            ("gateway", "listen" if gateway.listen else "hosts"),
            f"listens on {what}, and developers' keys come to it without TLS.",
            "Put a TLS load balancer before it and write its https address as 'url'.",
            given=(("gateway", "url"),),
        )
    if gateway.metrics_port:
        yield fleet.document.problem(
            ("gateway", "metrics", "port"),
            f"is open to whoever reaches {what}: it asks for no key.",
            "Listen on a private address, or write metrics: {} and scrape with the master key.",
        )


def listeners(fleet: Fleet, gateway: Gateway) -> list[str]:
    """Return the addresses on which the gateways listen."""
    if gateway.listen:
        return [gateway.listen]
    return [fleet.hosts[name].address for name in gateway.hosts if name in fleet.hosts]
