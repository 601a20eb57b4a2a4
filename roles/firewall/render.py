"""Pure: from firewall rules to a file for nftables, and back."""

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

Rules = Mapping[int, frozenset[Network]]
"""The allowed sources of each port. The firewall does not affect other ports."""


def rules_file(rules: Rules) -> str:
    """Return the file for nft. It replaces Mirrorfleet's table in one transaction, and no other."""
    return template(
        TEMPLATES / "rules.nft.j2",
        table=TABLE,
        ports=[(port, _matches(sources)) for port, sources in sorted(rules.items())],
    )


def _matches(sources: Iterable[Network]) -> list[str]:
    """Return the matches for the sources of accepted packets, one per address family."""
    four = [network for network in sources if isinstance(network, IPv4Network)]
    six = [network for network in sources if isinstance(network, IPv6Network)]
    return [
        f"{family} saddr {{ {', '.join(map(_short, several))} }}"
        for family, several in (("ip", _largest(four)), ("ip6", _largest(six)))
        if several
    ]


def _largest(several: list[Any]) -> list[Network]:
    """Return the networks without those inside another one: a set of nft has no overlaps."""
    return sorted(
        network
        for network in several
        if not any(network != other and network.subnet_of(other) for other in several)
    )


def _short(network: Network) -> str:
    alone = network.prefixlen == network.max_prefixlen
    return str(network.network_address if alone else network)


_ACCEPT = re.compile(r"tcp dport (\d+) ip6? saddr \{ (.+) \} accept")
_REJECT = re.compile(r"tcp dport (\d+) reject")


def parse_rules(text: str) -> Rules:
    """Return the rules in a file for nft. Skips unreadable parts of a damaged file."""
    found: dict[int, set[Network]] = {int(port): set() for port in _REJECT.findall(text)}
    for port, sources in _ACCEPT.findall(text):
        for source in sources.split(", "):
            try:
                found.setdefault(int(port), set()).add(network(source))
            except ValueError:
                continue
    return {port: frozenset(networks) for port, networks in found.items()}


def merged(one: Rules, other: Rules) -> Rules:
    """Return rules that allow the sources of both rules."""
    return {
        port: one.get(port, frozenset()) | other.get(port, frozenset())
        for port in one.keys() | other.keys()
    }
