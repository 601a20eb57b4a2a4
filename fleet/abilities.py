"""What Claude Code may use of the model behind a name: thinking, tool search, web search."""

from __future__ import annotations

from fleet.parsers import reasoning_parser
from fleet.spec import Model, OllamaModel, ProviderModel, VllmModel


def is_claude(model: Model) -> bool:
    """Is it a Claude at a provider, for which the client's own table of abilities holds?"""
    if not isinstance(model, ProviderModel):
        return False
    identity = f"{model.id} {model.base_model or ''}".lower()
    return model.provider == "anthropic" or "claude" in identity


def thinks(model: Model) -> bool:
    """May the gateway pass ``thinking`` and ``effort`` to an engine of the fleet?

    vLLM needs a reasoning parser to tell thinking from the answer. Ollama tells them apart itself,
    and drops what a model cannot do.
    """
    if isinstance(model, VllmModel):
        return reasoning_parser(model) is not None
    return isinstance(model, OllamaModel)


def searches(model: Model) -> bool:
    """Does the provider run WebSearch? Anthropic's API does, Bedrock and engines refuse it."""
    return isinstance(model, ProviderModel) and is_claude(model) and model.provider != "bedrock"
