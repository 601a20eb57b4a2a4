"""What LiteLLM's own price list says of a provider's model: its window, its cap and its price."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import Version

DATA = Path(__file__).parent / "litellm_models"

ROUTE = re.compile(r"^(converse|invoke|converse_like|responses)/")
REGION = re.compile(r"^(us|eu|apac|au|jp|global|us-gov)\.")
"""What stands before the id of a model: LiteLLM's route, and a group of Bedrock's regions."""


@dataclass(frozen=True)
class Listed:
    """``prompt`` and ``output`` are tokens; ``None`` where the list has no number."""

    prompt: int | None
    output: int | None
    has_price: bool


def listed(release: str, provider: str, name: str, base_model: str | None) -> Listed | None:
    """Return what a release says of a model, or of its base model; ``None`` if it is not there."""
    models = _models(release)
    if base_model:
        prefix, _, rest = base_model.partition("/")
        found = models.get(prefix, {}).get(rest)
        found = found or next((m[base_model] for m in models.values() if base_model in m), None)
    else:
        known = models.get(provider, {})
        bare = ROUTE.sub("", name)
        names = (name, bare, REGION.sub("", bare))
        found = next((known[each] for each in names if each in known), None)
    return Listed(*found) if found else None


@cache
def _models(release: str) -> Mapping[str, Mapping[str, list[Any]]]:
    """Return the list of a release, or the newest that there is: the check refuses other ones."""
    path = DATA / f"{release}.json"
    if not path.is_file():
        path = max(DATA.glob("*.json"), key=lambda each: Version(each.stem))
    models: dict[str, dict[str, list[Any]]] = json.loads(path.read_text("utf-8"))
    return models
