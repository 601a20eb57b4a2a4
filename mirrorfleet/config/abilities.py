"""What a model can do: calling tools, reading images and documents, thinking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mirrorfleet.config.reader import Section

Mode = Literal["none", "switchable", "always"]


@dataclass(frozen=True)
class Thinking:
    """Whether a model thinks.

    ``default``: it thinks if the request does not mention thinking. ``efforts``: the levels of
    effort that it supports; empty if it has none.
    """

    mode: Mode
    default: bool
    efforts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Abilities:
    """``vision``: it reads images. ``documents``: it reads PDF."""

    tools: bool
    vision: bool
    documents: bool
    thinking: Thinking


@dataclass(frozen=True)
class ThinkingKeys:
    """``thinking`` of a model or of a family.

    ``default``: enabled, disabled, or adaptive (the model decides), for a request that does not
    mention thinking. ``enabled``, ``disabled``: the arguments of the chat template for either.
    """

    mode: Mode
    default: str = "enabled"
    enabled: Mapping[str, Any] = field(default_factory=dict)
    disabled: Mapping[str, Any] = field(default_factory=dict)
    efforts: tuple[str, ...] = ()

    @property
    def summary(self) -> Thinking:
        thinks = self.mode == "always" or (self.mode == "switchable" and self.default != "disabled")
        return Thinking(self.mode, thinks, self.efforts)


NO_THINKING = ThinkingKeys("none", "disabled")


@dataclass(frozen=True)
class AbilityKeys:
    """The abilities that the fleet file has for a model; ``None``: it has none."""

    tools: bool | None = None
    vision: bool | None = None
    documents: bool | None = None
    thinking: ThinkingKeys | None = None


def ability_keys(section: Section) -> AbilityKeys:
    """Read the abilities of one of ``models``."""
    return AbilityKeys(
        tools=section.get("tools"),
        vision=section.get("vision"),
        documents=section.get("documents"),
        thinking=thinking_keys(section["thinking"]) if "thinking" in section else None,
    )


def thinking_keys(value: bool | Mapping[str, Any]) -> ThinkingKeys:
    """Return ``thinking`` of the fleet file or of a family; true is short for switchable."""
    if value is False:
        return NO_THINKING
    if value is True:
        return ThinkingKeys("switchable")
    return ThinkingKeys(
        mode=value["mode"],
        default=value.get("default", "enabled"),
        enabled=value.get("enabled", {}),
        disabled=value.get("disabled", {}),
        efforts=tuple(value.get("efforts", ())),
    )
