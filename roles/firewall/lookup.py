"""The addresses behind what a plan admits: of names, those that this machine finds."""

from __future__ import annotations

import socket
from functools import cache

from pyinfra.api.exceptions import DeployError

from roles.firewall.render import Network, network


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
    except OSError as error:
        raise DeployError(
            f"is to admit {admitted}, and this machine finds no address of that name "
            f"({error.strerror or error}). Write an address in the fleet file, or firewall: none."
        ) from None
    return frozenset(network(str(address[0])) for *_, address in found)
