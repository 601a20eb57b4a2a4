"""Abilities of models: tools, vision, documents, thinking; and what only Claude has."""

from __future__ import annotations

from typing import TypeVar

from mirrorfleet.config import Model, ProviderModel
from mirrorfleet.config.abilities import NO_THINKING, Abilities, Thinking, ThinkingKeys
from mirrorfleet.engines.known import Known, KnownAbilities, assumed
from mirrorfleet.engines.registry import engine_of

__all__ = [
    "Abilities",
    "Thinking",
    "abilities",
    "has_web_search",
    "is_claude",
    "known_abilities",
]

T = TypeVar("T")

PROVIDER_THINKING = ThinkingKeys("switchable", "disabled")
"""Thinking at a provider: LiteLLM translates the levels of effort."""


def abilities(model: Model) -> Abilities:
    """Return the abilities of a model: those in the fleet file, else derived or assumed ones."""
    known = known_abilities(model)
    return Abilities(
        tools=known.tools.value,
        vision=known.vision.value,
        documents=known.documents.value,
        thinking=known.thinking.value.summary,
    )


def known_abilities(model: Model) -> KnownAbilities:
    """Return the abilities of a model, each with its source."""
    derived = (
        _of_provider(model)
        if isinstance(model, ProviderModel)
        else engine_of(model).abilities(model)
    )
    own = model.own_abilities
    return KnownAbilities(
        tools=_chosen(own.tools, derived.tools),
        vision=_chosen(own.vision, derived.vision),
        documents=_chosen(own.documents, derived.documents),
        thinking=_chosen(own.thinking, derived.thinking),
    )


def _chosen(own: T | None, derived: Known[T]) -> Known[T]:
    return derived if own is None else Known(own, "the fleet file")


def _of_provider(model: ProviderModel) -> KnownAbilities:
    if is_claude(model):
        claude = "the client's own table, because the model is Claude"
        every = Known(True, claude)
        return KnownAbilities(every, every, every, Known(PROVIDER_THINKING, claude))
    thinks = _listed(model, "thinking", True)
    thinking = PROVIDER_THINKING if thinks.value else NO_THINKING
    return KnownAbilities(
        tools=assumed(True),
        vision=_listed(model, "vision", False),
        documents=_listed(model, "documents", False),
        thinking=Known(thinking, thinks.source),
    )


def _listed(model: ProviderModel, ability: str, default: bool) -> Known[bool]:
    if model.listed_abilities is None:
        return assumed(default)
    return Known(ability in model.listed_abilities, "LiteLLM's price list")


def is_claude(model: Model) -> bool:
    """Return whether a model is Claude, so that the client's own table of capabilities applies."""
    if not isinstance(model, ProviderModel):
        return False
    identity = f"{model.id} {model.base_model or ''}".lower()
    # LiteLLM translates requests to all other models into another API.
    native = model.provider in ("bedrock", "vertex_ai") and "claude" in identity
    return native or model.provider == "anthropic"


def has_web_search(model: Model) -> bool:
    """Return whether a model supports WebSearch, a tool that runs at the provider."""
    without = ("bedrock", "openai_compatible")
    return isinstance(model, ProviderModel) and model.provider not in without
