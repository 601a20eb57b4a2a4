"""What an address says about who reaches it. Names are not looked up: of them nothing is known."""

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
    """Can DNS have such a name? Its parts have 63 characters at most, all together 253."""
    parts = address.removesuffix(".").split(".")
    return len(address) <= 253 and all(1 <= len(part) <= 63 for part in parts)


def before_v1(url: str) -> str | None:
    """Return what a URL says before the ``/v1`` or ``/v1/messages`` at its end, if it has one."""
    found = re.fullmatch(r"(https?://[^/]+.*?)/+v1(/messages)?/*", url)
    return found[1] if found else None
