"""Pure: what a database is told of its tables: whose they are, and for which salt key."""

from __future__ import annotations

from hashlib import sha256

from fleet.locks import pins

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
