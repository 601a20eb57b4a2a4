"""Where hosts fetch weights that are said as a repository."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Secret, Section


@dataclass(frozen=True)
class Hub:
    """``proxy`` is how hosts reach it; ``None``: straight."""

    url: str
    token: Secret | None
    proxy: str | None


def hub(said: Section) -> Hub:
    return Hub(said.get("url", "https://huggingface.co"), said.secret("token"), said.get("proxy"))
