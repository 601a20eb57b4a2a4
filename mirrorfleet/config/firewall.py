"""Who reaches the servers of a fleet."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class Firewall:
    """Addresses, networks and names of hosts, as said; empty lists admit whom the plan derives.

    ``on`` is false where the network sees to it.
    """

    on: bool
    engines: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


def firewall(said: Section) -> Firewall:
    if said.get("firewall") == "none":
        return Firewall(on=False)
    lists = said.section("firewall")
    return Firewall(
        on=True,
        engines=lists.words("engines"),
        gateways=lists.words("gateways"),
        metrics=lists.words("metrics"),
    )
