"""Which model of its family a model on vLLM is, by the name of its weights."""

from __future__ import annotations

import re
from functools import lru_cache

from mirrorfleet.config.vllm import AnyVllmModel, VllmModel
from mirrorfleet.data import table


def member(model: AnyVllmModel) -> str | None:
    """Return the name in data/families.yml that fits a model's weights best; ``None`` if none fits.

    GLM-4.5V fits zai-org/GLM-4.5V-FP8 better than GLM-4.5 does.
    """
    return _member(model.family or "", _weights(model))


@lru_cache(maxsize=1024)
def _member(name: str, weights: str) -> str | None:
    family = table("families").get(name, {})
    always = family.get("thinking", {}).get("always", ())
    names = (*family.get("models", ()), *family.get("vision", ()), *always)
    return max((name for name in names if _fits(weights, name)), key=len, default=None)


def _weights(model: AnyVllmModel) -> str:
    """Return the name of a model's weights: that of their repository or directory."""
    source = model.weights.source if isinstance(model, VllmModel) else model.name_at_engine
    return source.rstrip("/").rpartition("/")[2]


def _fits(weights: str, model: str) -> bool:
    words = re.sub(r"[ _]", "-", model.lower())
    return re.match(rf"{re.escape(words)}(?![a-z0-9.])", weights.lower()) is not None
