"""LiteLLM's price list: limits, price and abilities of providers' models."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mirrorfleet.data import proposed

DATA = Path(__file__).parent / "litellm_models"

ROUTE = re.compile(r"^(converse|invoke|converse_like|responses)/")
REGION = re.compile(r"^(us|eu|apac|au|jp|global|us-gov)\.")
"""Prefixes of a model's id: LiteLLM's route, and Bedrock's region."""


@dataclass(frozen=True)
class Listed:
    """An entry of the list. ``prompt`` and ``output``: most tokens, or ``None`` if not listed.

    ``abilities``: of vision, documents and thinking. ``mode``: what the model is for, by LiteLLM's
    names.
    """

    prompt: int | None
    output: int | None
    has_price: bool
    abilities: frozenset[str]
    mode: str = "chat"


def listed(release: str, provider: str, name: str, base_model: str | None) -> Listed | None:
    """Return the entry of a model, or of its base model, in the list of LiteLLM ``release``.

    ``None`` if the list does not have it.
    """
    models = _models(release)
    if base_model:
        prefix, _, rest = base_model.partition("/")
        found = models.get(prefix, {}).get(rest)
        found = found or next((m[base_model] for m in models.values() if base_model in m), None)
    else:
        known = models.get(provider, {})
        bare = ROUTE.sub("", name)
        names = (name, bare, REGION.sub("", bare))
        found = next((known[name] for name in names if name in known), None)
    if not found:
        return None
    prompt, output, has_price, abilities, *mode = found
    return Listed(prompt, output, has_price, frozenset(abilities), *mode)


def providers_of(release: str, name: str) -> list[str]:
    """Return the providers that have a model of this name in the list of LiteLLM ``release``."""
    return [provider for provider, models in _models(release).items() if name in models]


@cache
def _models(release: str) -> Mapping[str, Mapping[str, list[Any]]]:
    """Return the list of a release, else of the proposed one: a check reports unknown releases."""
    path = DATA / f"{release}.json"
    if not path.is_file():
        path = DATA / f"{proposed('litellm')}.json"
    models: dict[str, dict[str, list[Any]]] = json.loads(path.read_text("utf-8"))
    return models
