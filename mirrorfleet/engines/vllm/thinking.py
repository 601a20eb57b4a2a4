"""How requests enable and disable thinking of a model on vLLM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mirrorfleet.config.abilities import ThinkingKeys
from mirrorfleet.config.vllm import AnyVllmModel
from mirrorfleet.engines.known import ThinkingArguments
from mirrorfleet.engines.vllm import parsers
from mirrorfleet.engines.vllm.derived import family_thinking, parser_thinking

OWN = {"enabled": {"enable_thinking": True}, "disabled": {"enable_thinking": False}}
"""What vLLM itself passes to a chat template of unknown arguments."""

EFFORTS = ("none", "low", "medium", "high", "xhigh", "max")
"""What vLLM's /v1/messages can pass as ``reasoning_effort``."""


def arguments(model: AnyVllmModel, thinking: ThinkingKeys) -> ThinkingArguments | None:
    """Return what the gateway writes into requests for a model; ``None`` if it never thinks."""
    if thinking.mode == "none":
        return None
    if thinking.mode == "always":
        return ThinkingArguments("always", True, {}, {}, thinking.efforts)
    enabled, disabled = _switch(model, thinking)
    return ThinkingArguments(
        mode="switchable",
        by_effort=_is_effort(enabled) and _is_effort(disabled),
        enabled=enabled,
        disabled=disabled,
        efforts=thinking.efforts,
    )


def defaults(model: AnyVllmModel, thinking: ThinkingKeys) -> Mapping[str, Any]:
    """Return the default arguments of the chat template: they disable thinking.

    Clients send nothing for thinking that is disabled, and most templates then enable it. A model
    that the fleet file calls ``thinking: false`` gets what its family needs for that.
    """
    known = family_thinking(model.family) or thinking
    if thinking.mode == "switchable":
        enabled, disabled = _switch(model, thinking)
        # Only if a request can override them.
        return disabled if disabled.keys() <= enabled.keys() else {}
    if thinking.mode == "none" and known.mode == "switchable":
        return known.disabled
    return {}


def _switch(model: AnyVllmModel, thinking: ThinkingKeys) -> tuple[Mapping[str, Any], ...]:
    """Return the arguments that enable and disable thinking: its own, or those of the parser."""
    for known in (thinking, parser_thinking(parsers.reasoning_parser(model))):
        if known and (known.enabled or known.disabled):
            return known.enabled, known.disabled
    return OWN["enabled"], OWN["disabled"]


def _is_effort(switch: Mapping[str, Any]) -> bool:
    return switch.keys() == {"reasoning_effort"} and switch["reasoning_effort"] in EFFORTS
