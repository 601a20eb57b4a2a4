"""Pure: what a database is told of its tables, whose they are and for which salt key, and which one
it is."""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import urlsplit

from mirrorfleet.config.lock_files import pins

PACKAGE = "litellm-proxy-extras"
"""What holds LiteLLM's migrations."""


def release(lock: str) -> str:
    """Return whose tables a lock file wants: "litellm-proxy-extras 0.4.108"."""
    return f"{PACKAGE} {dict(pins(lock))[PACKAGE]}"


def fingerprint(salt_key: str) -> str:
    """Return what the database is told of its salt key: enough to know another one."""
    return sha256(f"mirrorfleet salt key {salt_key}".encode()).hexdigest()[:12]


def comment(lock: str, salt_key: str) -> str:
    """Return what stands at the tables once migrate.sh has made them for a lock file."""
    return f"mirrorfleet: {release(lock)}, salt key {fingerprint(salt_key)}"


def place(url: str) -> str:
    """Return which database a URL leads to: a digest of host, port and name, for it is a secret.

    Its user, password and options may change.
    """
    try:
        parts = urlsplit(url)
        where = f"{parts.hostname}:{parts.port or 5432}{parts.path}"
    except ValueError:
        where = ""  # it is refused by whoever makes the tables
    return sha256(f"mirrorfleet database {where}".encode()).hexdigest()[:12]


def role(password: str) -> str:
    """Return as whom gateways with a password come into a Postgres of ours.

    Another password is another role: the former one counts until all gateways have the new one.
    """
    return f"litellm_{sha256(f'mirrorfleet database role {password}'.encode()).hexdigest()[:8]}"
