"""What the service of a server cannot be given, by its unit: paths that it does not see, and text
that systemd does not pass on.
"""

from __future__ import annotations

import posixpath
import unicodedata

HOMES = ("/home", "/root", "/run/user")
"""ProtectHome=yes of all our units: the service sees these empty."""

TEMPORARY = ("/tmp", "/var/tmp")
"""PrivateTmp=yes of all our units: the service sees directories of its own there."""


def hidden(path: str, places: tuple[str, ...] = HOMES + TEMPORARY) -> str:
    """Return the directory that hides a path of the host from a service; "" if none does."""
    plain = "/" + posixpath.normpath(path.removeprefix("file://")).lstrip("/")
    if not path.removeprefix("file://").startswith("/"):
        return ""
    return next((each for each in places if f"{plain}/".startswith(f"{each}/")), "")


def has_controls(text: str) -> bool:
    """Does a text hold control characters, or halves of characters?"""
    return any(unicodedata.category(each) in ("Cc", "Cs") for each in text)
