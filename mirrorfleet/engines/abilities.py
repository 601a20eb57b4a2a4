"""What Claude Code may use of the model behind a name: thinking, tool search, web search."""

from __future__ import annotations

from mirrorfleet.config import Model, OllamaModel, ProviderModel, VllmModel
from mirrorfleet.engines import parsers


def is_claude(model: Model) -> bool:
    """Is it a Claude at a provider, for which the client's own table of abilities holds?"""
    if not isinstance(model, ProviderModel):
        return False
    identity = f"{model.id} {model.base_model or ''}".lower()
    # Others are asked in another API, into which LiteLLM translates.
    native = model.provider in ("bedrock", "vertex_ai") and "claude" in identity
    return native or model.provider == "anthropic"


def thinks(model: Model) -> bool:
    """May the gateway pass ``thinking`` and ``effort`` to an engine of the fleet?

    vLLM needs a reasoning parser to tell thinking from the answer. Ollama tells them apart itself,
    and drops what a model cannot do.
    """
    if isinstance(model, VllmModel):
        return parsers.reasoning_parser(model) is not None
    return isinstance(model, OllamaModel)


def searches(model: Model) -> bool:
    """Can it run WebSearch, a tool of the provider? Bedrock and engines refuse it."""
    refuse = ("bedrock", "openai_compatible")
    return isinstance(model, ProviderModel) and model.provider not in refuse


def has_tools(model: Model) -> bool:
    """Can Claude Code use it at all? Another check reports a family that is unknown."""
    if isinstance(model, VllmModel):
        return not parsers.is_known(model) or parsers.tool_parser(model) is not None
    return True
