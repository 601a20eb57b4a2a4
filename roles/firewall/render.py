"""Pure: from doors to the rules of nftables, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from mirrorfleet.runtime.dns import Network, network
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.text import template

TABLE = "mirrorfleet"
DIRECTORY = f"{ROOT}/firewall"
RULES = f"{DIRECTORY}/rules.nft"
TEMPLATES = Path(__file__).parent / "templates"

Doors = Mapping[int, frozenset[Network]]
"""From where each port is reached; whatever is not a port here is none of our business."""


def rules(doors: Doors) -> str:
    """Return the file for nft: it replaces our table in one transaction, and names no other."""
    return template(
        TEMPLATES / "rules.nft.j2",
        table=TABLE,
        ports=[(port, _matches(admitted)) for port, admitted in sorted(doors.items())],
    )


def _matches(admitted: Iterable[Network]) -> list[str]:
    """Return what the source of an admitted packet is, by family."""
    four = [each for each in admitted if isinstance(each, IPv4Network)]
    six = [each for each in admitted if isinstance(each, IPv6Network)]
    return [
        f"{family} saddr {{ {', '.join(map(_short, several))} }}"
        for family, several in (("ip", _largest(four)), ("ip6", _largest(six)))
        if several
    ]


def _largest(several: list[Any]) -> list[Network]:
    """Leave out what is inside another one: a set of nft has no overlaps."""
    return sorted(
        each
        for each in several
        if not any(each != other and each.subnet_of(other) for other in several)
    )


def _short(network: Network) -> str:
    alone = network.prefixlen == network.max_prefixlen
    return str(network.network_address if alone else network)


_ACCEPT = re.compile(r"tcp dport (\d+) ip6? saddr \{ (.+) \} accept")
_REJECT = re.compile(r"tcp dport (\d+) reject")


def doors(text: str) -> Doors:
    """Return the doors that a file of ours has; of a damaged one, what can be read of it."""
    found: dict[int, set[Network]] = {int(port): set() for port in _REJECT.findall(text)}
    for port, said in _ACCEPT.findall(text):
        for each in said.split(", "):
            try:
                found.setdefault(int(port), set()).add(network(each))
            except ValueError:
                continue
    return {port: frozenset(admitted) for port, admitted in found.items()}


def both(one: Doors, other: Doors) -> Doors:
    """Return doors that admit whom either of two admits."""
    return {
        port: one.get(port, frozenset()) | other.get(port, frozenset())
        for port in one.keys() | other.keys()
    }
