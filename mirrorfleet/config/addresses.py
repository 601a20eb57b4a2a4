"""Properties of addresses. Names are not resolved: nothing is known about them."""

from __future__ import annotations

import re
from ipaddress import ip_address


def is_public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False


def is_any(address: str) -> bool:
    try:
        return ip_address(address).is_unspecified
    except ValueError:
        return False


def is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def is_ip(address: str) -> bool:
    try:
        ip_address(address)
    except ValueError:
        return False
    return True


def is_name(address: str) -> bool:
    """Return whether a name is possible in DNS: at most 63 characters a label, 253 in total."""
    parts = address.removesuffix(".").split(".")
    return len(address) <= 253 and all(1 <= len(part) <= 63 for part in parts)


def before_v1(url: str) -> str | None:
    """Return a URL without ``/v1`` or ``/v1/messages`` at its end, ``None`` if it has neither."""
    found = re.fullmatch(r"(https?://[^/]+.*?)/+v1(/messages)?/*", url)
    return found[1] if found else None
