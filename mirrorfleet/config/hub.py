"""The hub that hosts download weights from."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Secret, Section


@dataclass(frozen=True)
class Hub:
    """``proxy`` is the proxy between hosts and the hub, ``None`` for a direct connection."""

    url: str
    token: Secret | None
    proxy: str | None


def hub(section: Section) -> Hub:
    """Read ``hub``."""
    return Hub(section["url"], section.secret("token"), section.get("proxy"))
