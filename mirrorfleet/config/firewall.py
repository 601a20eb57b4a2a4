"""The clients that may connect to the servers of a fleet."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class Firewall:
    """Allowed sources as the file has them: addresses, networks and names of hosts.

    An empty list allows only what the plan derives. ``on`` is false for ``firewall: none``.
    """

    on: bool
    engines: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


def firewall(root: Section) -> Firewall:
    """Read ``firewall`` of a whole fleet file."""
    if root.get("firewall") == "none":
        return Firewall(on=False)
    section = root.mapping("firewall")
    return Firewall(
        on=True,
        engines=section.strings("engines"),
        gateways=section.strings("gateways"),
        metrics=section.strings("metrics"),
    )
