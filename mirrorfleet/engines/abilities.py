"""Capabilities of models that Claude Code can use: thinking, tools, web search."""

from __future__ import annotations

from mirrorfleet.config import Model, ProviderModel
from mirrorfleet.engines.registry import engine_of


def generates(model: Model) -> bool:
    """Return whether a model generates text, instead of embeddings or scores."""
    return isinstance(model, ProviderModel) or model.task is None


def is_claude(model: Model) -> bool:
    """Return whether a model is Claude, so that the client's own table of capabilities applies."""
    if not isinstance(model, ProviderModel):
        return False
    identity = f"{model.id} {model.base_model or ''}".lower()
    # LiteLLM translates requests to all other models into another API.
    native = model.provider in ("bedrock", "vertex_ai") and "claude" in identity
    return native or model.provider == "anthropic"


def has_thinking(model: Model) -> bool:
    """Return whether an engine of the fleet supports ``thinking`` and ``effort`` for a model."""
    return not isinstance(model, ProviderModel) and engine_of(model).has_thinking(model)


def has_web_search(model: Model) -> bool:
    """Return whether a model supports WebSearch, a tool that runs at the provider."""
    without = ("bedrock", "openai_compatible")
    return isinstance(model, ProviderModel) and model.provider not in without


def has_tools(model: Model) -> bool:
    """Return whether a model supports tools, or it is unknown: a check reports unknown ones."""
    if isinstance(model, ProviderModel):
        return True
    return generates(model) and not engine_of(model).missing_tools(model)
