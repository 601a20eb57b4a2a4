"""Whether a model on vLLM reads images: its options, its weights, its family."""

from __future__ import annotations

import re

from mirrorfleet.config.vllm import AnyVllmModel, VllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.known import Known, assumed
from mirrorfleet.engines.vllm import model_config

TEXT_ONLY = "language-model-only"
"""With this option, vLLM does not load the part of a model that reads images."""


def vision(model: AnyVllmModel) -> Known[bool]:
    """Return whether a model reads images."""
    if isinstance(model, VllmModel):
        if model.arguments.get(TEXT_ONLY) is True:
            return Known(False, f"'arguments.{TEXT_ONLY}' of the model")
        if config := model_config.read(model_config.read_on_controller(model.weights)):
            return Known(model_config.has_vision(config), "config.json of the weights")
    known = table("families").get(model.family or "", {})
    seeing = known.get("vision", ())
    if set(known.get("models", ())) <= {*seeing}:
        return Known(True, f"the family {model.family}") if seeing else assumed(False)
    name = _weights(model)
    found = max(
        (each for each in (*known["models"], *seeing) if _is_of(name, each)),
        key=len,
        default=None,
    )
    if found is None:
        return assumed(False)
    return Known(found in seeing, f"{found} of the family {model.family}")


def _weights(model: AnyVllmModel) -> str:
    """Return the name of a model's weights: that of their repository or directory."""
    source = model.weights.source if isinstance(model, VllmModel) else model.name_at_engine
    return source.rstrip("/").rpartition("/")[2]


def _is_of(weights: str, model: str) -> bool:
    """Return whether weights belong to a model, as GLM-4.5V-FP8 to GLM-4.5V."""
    words = re.sub(r"[ _]", "-", model.lower())
    return re.match(rf"{re.escape(words)}(?![a-z0-9.])", weights.lower()) is not None
