"""The addresses behind what a plan admits: of names, those that this machine finds."""

from __future__ import annotations

import socket
from functools import cache
from ipaddress import IPv4Network, IPv6Network

from pyinfra.api.exceptions import DeployError

Network = IPv4Network | IPv6Network


def network(said: str) -> Network:
    """Return an address or a network as a network. Raises ``ValueError`` if it is neither."""
    return IPv6Network(said) if ":" in said else IPv4Network(said)


@cache
def networks(admitted: str) -> frozenset[Network]:
    """Return the network that is said or, of a host's name, its addresses.

    Not left to the host: nft would look the name up at each boot, before there is a network.
    Raises ``DeployError`` when the name has no address here.
    """
    try:
        return frozenset({network(admitted)})
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(admitted, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # no name, or none that DNS could have
        why = getattr(error, "strerror", None) or error
        raise DeployError(
            f"the firewall should admit {admitted}, and this machine finds no address for that "
            f"name ({why}). Write an address in the fleet file."
        ) from None
    return frozenset(network(str(address[0])) for *_, address in found)
