"""Abilities of models: tools, vision, documents, thinking; and what only Claude has."""

from __future__ import annotations

from functools import reduce
from typing import TypeVar

from mirrorfleet.config import Deployment, GatewayModel, Model, ProviderModel
from mirrorfleet.config.abilities import (
    NO_THINKING,
    Abilities,
    AbilityKeys,
    Thinking,
)
from mirrorfleet.engines.known import CLAUDE, PROVIDER_THINKING, Known, KnownAbilities, assumed
from mirrorfleet.engines.registry import engine_of

__all__ = [
    "Abilities",
    "Thinking",
    "abilities",
    "generates",
    "has_web_search",
    "is_claude",
    "known_abilities",
]

T = TypeVar("T")

POOLS = "its task"
NO = Known(False, POOLS)
"""An ability of a model that generates no text."""


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
    """Return the abilities of a model, each with its source.

    Of several deployments, any can get a request: the model has what all of them have.
    """
    if not generates(model):
        return KnownAbilities(NO, NO, NO, Known(NO_THINKING, POOLS))
    if isinstance(model, ProviderModel):
        return reduce(
            _weaker,
            (_own(each.own_abilities, _of_deployment(each)) for each in model.deployments),
        )
    return _own(model.own_abilities, engine_of(model).abilities(model))


def _own(own: AbilityKeys, derived: KnownAbilities) -> KnownAbilities:
    return KnownAbilities(
        tools=_chosen(own.tools, derived.tools),
        vision=_chosen(own.vision, derived.vision),
        documents=_chosen(own.documents, derived.documents),
        thinking=_chosen(own.thinking, derived.thinking),
    )


def _weaker(one: KnownAbilities, other: KnownAbilities) -> KnownAbilities:
    """Return the abilities that both have."""
    return KnownAbilities(
        tools=one.tools if not one.tools.value else other.tools,
        vision=one.vision if not one.vision.value else other.vision,
        documents=one.documents if not one.documents.value else other.documents,
        thinking=one.thinking if one.thinking.value == NO_THINKING else other.thinking,
    )


def _chosen(own: T | None, derived: Known[T]) -> Known[T]:
    return derived if own is None else Known(own, "the fleet file")


def _of_deployment(model: Deployment) -> KnownAbilities:
    if _is_claude(model):
        return CLAUDE
    thinks = _listed(model, "thinking", True)
    thinking = PROVIDER_THINKING if thinks.value else NO_THINKING
    return KnownAbilities(
        tools=assumed(True),
        vision=_listed(model, "vision", False),
        documents=_listed(model, "documents", False),
        thinking=Known(thinking, thinks.source),
    )


def _listed(model: Deployment, ability: str, default: bool) -> Known[bool]:
    if model.listed_abilities is None:
        return assumed(default)
    return Known(ability in model.listed_abilities, "LiteLLM's price list")


def is_claude(model: Model) -> bool:
    """Return whether a model is Claude, so that the client's own table of capabilities applies."""
    if isinstance(model, ProviderModel):
        return all(map(_is_claude, model.deployments))
    return isinstance(model, GatewayModel) and model.claude


def _is_claude(deployment: Deployment) -> bool:
    identity = f"{deployment.id} {deployment.base_model or ''}".lower()
    # LiteLLM translates requests to all other models into another API.
    native = deployment.provider in ("bedrock", "vertex_ai") and "claude" in identity
    return native or deployment.provider == "anthropic"


def generates(model: Model) -> bool:
    """Return whether a model generates text, instead of embeddings, scores, images or audio."""
    return model.has_window if isinstance(model, ProviderModel) else model.task is None


def has_web_search(model: Model) -> bool:
    """Return whether a model supports WebSearch, a tool that runs at the provider."""
    without = ("bedrock", "openai_compatible", "litellm")
    return isinstance(model, ProviderModel) and not any(
        deployment.provider in without for deployment in model.deployments
    )
