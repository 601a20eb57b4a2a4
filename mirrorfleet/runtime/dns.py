"""The addresses of allowed sources. This machine resolves names."""

from __future__ import annotations

import socket
from functools import cache
from ipaddress import IPv4Network, IPv6Network

from pyinfra.api.exceptions import DeployError

Network = IPv4Network | IPv6Network


def network(text: str) -> Network:
    """Return an address or a network as a network. Raises ``ValueError`` if it is neither."""
    return IPv6Network(text) if ":" in text else IPv4Network(text)


@cache
def networks(source: str) -> frozenset[Network]:
    """Return the networks of an allowed source: a network, an address, or a host name.

    nft on the host would resolve the name at each boot, before the network is up.
    Raises ``DeployError`` when this machine cannot resolve the name.
    """
    try:
        return frozenset({network(source)})
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(source, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # unknown, or not a valid name
        reason = getattr(error, "strerror", None) or error
        raise DeployError(
            f"this machine cannot resolve {source}, which the firewall should allow ({reason}). "
            "Set an address in the fleet file."
        ) from None
    return frozenset(network(str(address[0])) for *_, address in found)
