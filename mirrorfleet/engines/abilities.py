"""What Claude Code may use of the model behind a name: thinking, tools, web search."""

from __future__ import annotations

from mirrorfleet.config import Model, ProviderModel
from mirrorfleet.engines.registry import engine_of


def is_claude(model: Model) -> bool:
    """Is it a Claude at a provider, for which the client's own table of abilities holds?"""
    if not isinstance(model, ProviderModel):
        return False
    identity = f"{model.id} {model.base_model or ''}".lower()
    # Others are asked in another API, into which LiteLLM translates.
    native = model.provider in ("bedrock", "vertex_ai") and "claude" in identity
    return native or model.provider == "anthropic"


def has_thinking(model: Model) -> bool:
    """May the gateway pass ``thinking`` and ``effort`` to an engine of the fleet?"""
    return not isinstance(model, ProviderModel) and engine_of(model).has_thinking(model)


def has_web_search(model: Model) -> bool:
    """Can it run WebSearch, a tool of the provider? Bedrock and engines refuse it."""
    refuse = ("bedrock", "openai_compatible")
    return isinstance(model, ProviderModel) and model.provider not in refuse


def has_tools(model: Model) -> bool:
    """Can Claude Code use it at all? Another check reports a model of which this is unknown."""
    return isinstance(model, ProviderModel) or not engine_of(model).missing_tools(model)
