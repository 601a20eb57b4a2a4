"""Models of engines that already run: Mirrorfleet installs nothing there."""

from __future__ import annotations

from typing import Any

from mirrorfleet.config.abilities import ability_keys
from mirrorfleet.config.reader import Section


def common(section: Section) -> dict[str, Any]:
    """Return what every model of a running engine has, as arguments of its class."""
    return {
        "name": section.name,
        "hosts": (),
        # LiteLLM appends its path to the URL: a trailing slash would be doubled.
        "url": section["url"].rstrip("/"),
        "served_name": section.get("served_name"),
        "context": section["context"],
        "output": section["output"],
        "api_key": section.secret("api_key"),
        "own_abilities": ability_keys(section),
    }
