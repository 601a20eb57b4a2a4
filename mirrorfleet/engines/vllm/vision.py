"""Whether a model on vLLM reads images: its options, its weights, its family."""

from __future__ import annotations

from mirrorfleet.config.vllm import AnyVllmModel, VllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.known import Known, assumed
from mirrorfleet.engines.vllm import model_config
from mirrorfleet.engines.vllm.members import member

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
    found = member(model)
    if found is None:
        return assumed(False)
    return Known(found in seeing, f"{found} of the family {model.family}")
