"""Limits of a service's unit: paths that it cannot see, and characters that systemd drops."""

from __future__ import annotations

import posixpath
import unicodedata

HOMES = ("/home", "/root", "/run/user")
"""Empty for a service: all units have ProtectHome=yes."""

TEMPORARY = ("/tmp", "/var/tmp")
"""Private to a service: all units have PrivateTmp=yes."""


def hidden(path: str, places: tuple[str, ...] = HOMES + TEMPORARY) -> str:
    """Return the directory that systemd hides with a path in it from a service, else ""."""
    plain = "/" + posixpath.normpath(path.removeprefix("file://")).lstrip("/")
    if not path.removeprefix("file://").startswith("/"):
        return ""
    return next((each for each in places if f"{plain}/".startswith(f"{each}/")), "")


def has_controls(text: str) -> bool:
    """Return whether a text has control characters or surrogates."""
    return any(unicodedata.category(each) in ("Cc", "Cs") for each in text)
