"""Pure: the record of a database about its tables: their release and salt key.

It is a comment on a table, which migrate.sh writes.
"""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import urlsplit

from mirrorfleet.config.lock_files import pins

PACKAGE = "litellm-proxy-extras"
"""The Python package with LiteLLM's migrations."""


def release(lock: str) -> str:
    """Return the release of the tables that a lock file needs: "litellm-proxy-extras 0.4.108"."""
    return f"{PACKAGE} {dict(pins(lock))[PACKAGE]}"


def fingerprint(salt_key: str) -> str:
    """Return a digest of the salt key, with which a database detects another one."""
    return sha256(f"mirrorfleet salt key {salt_key}".encode()).hexdigest()[:12]


def comment(lock: str, salt_key: str) -> str:
    """Return the comment that migrate.sh writes for a lock file and a salt key."""
    return f"mirrorfleet: {release(lock)}, salt key {fingerprint(salt_key)}"


def place(url: str) -> str:
    """Return a digest of a database's host, port and name, because its URL is a secret.

    User, password and options of the URL do not change the digest.
    """
    try:
        parts = urlsplit(url)
        where = f"{parts.hostname}:{parts.port or 5432}{parts.path}"
    except ValueError:
        where = ""  # the role that creates the tables reports it
    return sha256(f"mirrorfleet database {where}".encode()).hexdigest()[:12]


def role(password: str) -> str:
    """Return the role with which gateways log in to a Postgres that Mirrorfleet installs.

    Each password has its own role, so the former one works until all gateways have the new one.
    """
    return f"litellm_{sha256(f'mirrorfleet database role {password}'.encode()).hexdigest()[:8]}"
