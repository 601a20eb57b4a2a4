"""Doors that would let everybody in, or nobody who has to come in."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface

from mirrorfleet.config import EngineModel, Fleet
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.engines.placement import models_of

MEANS = {
    "engines": "Remove it: gateways are let in by themselves. Or write firewall: none.",
    "gateways": "Remove it: then everybody reaches them.",
    "metrics": "Remove it: then everybody reaches them.",
}


def problems(fleet: Fleet) -> Iterator[Problem]:
    said = fleet.firewall
    for name in MEANS:
        for at, who in enumerate(getattr(said, name)):
            yield from _who(fleet, ("firewall", name, at), who)
    gateway = fleet.gateway
    if said.metrics and not (gateway and gateway.metrics_port):
        yield fleet.document.problem(
            ("firewall", "metrics"),
            "guards a port that no gateway has.",
            "Add gateway.metrics.port, or remove it.",
            given=(("gateway", "metrics", "port"),),
        )
    if said.gateways and not fleet.document.says("gateway"):
        yield fleet.document.problem(
            ("firewall", "gateways"), "guards gateways, and there are none.", "Remove it."
        )
    unguarded = [model for model in models_of(fleet, EngineModel) if not model.url]
    if unguarded and said.on and not said.engines and not fleet.document.says("gateway"):
        yield fleet.document.warning(
            ("models", unguarded[0].name),
            "can be used by whoever reaches its host: this file knows nobody who is to ask it.",
            "Say who under firewall.engines, or write firewall: none.",
        )


def _who(fleet: Fleet, key: Key, who: str) -> Iterator[Problem]:
    if who in fleet.document.names("hosts"):
        return
    try:
        wanted = ip_interface(who)
    except ValueError:
        known = fleet.document.names("hosts")
        yield fleet.document.problem(
            key,
            f"'{who}' is neither an address, nor a network, nor a host of this file.",
            did_you_mean(who, known),
            given=(("hosts",),),
        )
        return
    if wanted.network.prefixlen == 0:
        yield fleet.document.problem(key, f"{who} is everybody.", MEANS[str(key[1])])
    elif wanted.ip != wanted.network.network_address:
        yield fleet.document.problem(
            key,
            f"{who} is neither an address nor the first one of a network.",
            f"Write {wanted.ip} or {wanted.network}.",
        )
