"""The abilities of a model that its engine derives, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from mirrorfleet.config.abilities import Mode, ThinkingKeys

T = TypeVar("T")


class Known(NamedTuple, Generic[T]):
    """The value of an ability, and where it comes from, as words for a person."""

    value: T
    source: str


def assumed(value: T) -> Known[T]:
    """Return an ability that nothing says: what harms least if it is wrong."""
    return Known(value, "assumed, because nothing says it")


@dataclass(frozen=True)
class KnownAbilities:
    """The abilities of a model, each with its source."""

    tools: Known[bool]
    vision: Known[bool]
    documents: Known[bool]
    thinking: Known[ThinkingKeys]


PROVIDER_THINKING = ThinkingKeys("switchable", "disabled")
"""Thinking at a provider: LiteLLM translates the levels of effort."""

_EVERY = Known(True, "the client's own table, because the model is Claude")
CLAUDE = KnownAbilities(
    tools=_EVERY,
    vision=_EVERY,
    documents=_EVERY,
    thinking=Known(PROVIDER_THINKING, _EVERY.source),
)
"""The abilities of Claude."""


@dataclass(frozen=True)
class ThinkingArguments:
    """How a request enables and disables thinking: see roles/litellm/files/mirrorfleet_thinking.py.

    ``enabled``, ``disabled``: arguments of the chat template. ``by_effort``: only by the effort.
    """

    mode: Mode
    by_effort: bool
    enabled: Mapping[str, Any]
    disabled: Mapping[str, Any]
    efforts: tuple[str, ...]
