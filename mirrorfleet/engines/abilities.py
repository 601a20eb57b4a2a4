"""Capabilities of models that Claude Code can use: thinking, tools, web search."""

from __future__ import annotations

from mirrorfleet.config import Deployment, Model, ProviderModel
from mirrorfleet.engines.registry import engine_of


def is_claude(model: Model) -> bool:
    """Return whether a model is Claude, so that the client's own table of capabilities applies."""
    if not isinstance(model, ProviderModel):
        return False
    return all(map(_is_claude, model.deployments))


def _is_claude(deployment: Deployment) -> bool:
    identity = f"{deployment.id} {deployment.base_model or ''}".lower()
    # LiteLLM translates requests to all other models into another API.
    native = deployment.provider in ("bedrock", "vertex_ai") and "claude" in identity
    return native or deployment.provider == "anthropic"


def has_window(model: Model) -> bool:
    """Return whether a conversation can use a model; one for embeddings has no window."""
    return not isinstance(model, ProviderModel) or model.has_window


def has_thinking(model: Model) -> bool:
    """Return whether an engine of the fleet supports ``thinking`` and ``effort`` for a model."""
    return not isinstance(model, ProviderModel) and engine_of(model).has_thinking(model)


def has_web_search(model: Model) -> bool:
    """Return whether a model supports WebSearch, a tool that runs at the provider."""
    without = ("bedrock", "openai_compatible", "litellm")
    return isinstance(model, ProviderModel) and not any(
        deployment.provider in without for deployment in model.deployments
    )


def has_tools(model: Model) -> bool:
    """Return whether a model supports tools, or it is unknown: a check reports unknown ones."""
    return isinstance(model, ProviderModel) or not engine_of(model).missing_tools(model)
