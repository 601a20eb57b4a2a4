"""Firewall rules with invalid sources, or for ports that do not exist."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface

from mirrorfleet.config import EngineModel, Fleet
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.engines.placement import models_of

ALLOW_ALL = {
    "engines": "Remove it: gateways are always allowed. Or write firewall: none to allow all.",
    "gateways": "To allow all, remove firewall.gateways.",
    "metrics": "To allow all, remove firewall.metrics.",
}
"""What to write instead of a network of all addresses, by the list that has it."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    config = fleet.firewall
    for name in ALLOW_ALL:
        for index, source in enumerate(getattr(config, name)):
            yield from _source(fleet, ("firewall", name, index), source)
    gateway = fleet.gateway
    if config.metrics and not (gateway and gateway.metrics_port):
        yield fleet.document.problem(
            ("firewall", "metrics"),
            "applies to the gateways' metrics port, and there is none.",
            "Add gateway.metrics.port, or remove it.",
            given=(("gateway", "metrics", "port"),),
        )
    if config.gateways and not fleet.document.says("gateway"):
        yield fleet.document.problem(
            ("firewall", "gateways"), "applies to gateways, and there are none.", "Remove it."
        )
    unguarded = [model for model in models_of(fleet, EngineModel) if not model.url]
    if unguarded and config.on and not config.engines and not fleet.document.says("gateway"):
        yield fleet.document.warning(
            ("models", unguarded[0].name),
            "is open to every client that reaches its host: the file has no gateway and no "
            "firewall.engines.",
            "List the clients under firewall.engines, or write firewall: none.",
        )


def _source(fleet: Fleet, key: Key, source: str) -> Iterator[Problem]:
    if source in fleet.document.names("hosts"):
        return
    try:
        interface = ip_interface(source)
    except ValueError:
        known = fleet.document.names("hosts")
        yield fleet.document.problem(
            key,
            f"'{source}' is not an address, a network or a host of this file.",
            did_you_mean(source, known),
            given=(("hosts",),),
        )
        return
    if interface.network.prefixlen == 0:
        yield fleet.document.problem(key, f"{source} allows all addresses.", ALLOW_ALL[str(key[1])])
    elif interface.ip != interface.network.network_address:
        yield fleet.document.problem(
            key,
            f"{source} is neither an address nor a network.",
            f"For the address, write {interface.ip}; for the network, {interface.network}.",
        )
