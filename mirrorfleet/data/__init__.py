"""Facts that change with the world, kept as data: model families, advisories, client releases."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

# libyaml's is four times as fast; a build of PyYAML can be without it.
Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def has_table(name: str) -> bool:
    """Is there a data file of this name?"""
    return (Path(__file__).parent / f"{name}.yml").is_file()


@cache
def table(name: str) -> dict[str, Any]:
    """Return the data file ``name`` (without ``.yml``) of this folder."""
    text = (Path(__file__).parent / f"{name}.yml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.load(text, Loader)
    return content
