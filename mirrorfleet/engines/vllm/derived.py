"""The abilities of a model on vLLM, from its parsers, its family and its weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml

from mirrorfleet.config.abilities import NO_THINKING, ThinkingKeys, thinking_keys
from mirrorfleet.config.vllm import AnyVllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.known import Known, KnownAbilities, assumed
from mirrorfleet.engines.vllm import parsers
from mirrorfleet.engines.vllm.members import member
from mirrorfleet.engines.vllm.vision import vision


def abilities(model: AnyVllmModel) -> KnownAbilities:
    """Return the abilities of a model, each with its source."""
    return KnownAbilities(
        tools=_tools(model),
        vision=vision(model),
        documents=assumed(False),
        thinking=_thinking(model),
    )


def _tools(model: AnyVllmModel) -> Known[bool]:
    if not parsers.is_known(model):
        return assumed(True)  # a check reports the family
    has_parser = parsers.tool_parser(model) is not None
    return Known(has_parser, f"'tool_parser' of {_origin(model, model.tool_parser)}")


def _thinking(model: AnyVllmModel) -> Known[ThinkingKeys]:
    if parsers.reasoning_parser(model) is None:
        origin = _origin(model, None)
        return Known(
            NO_THINKING, f"without 'reasoning_parser' in {origin}, thinking stays in the answer"
        )
    always = table("families").get(model.family or "", {}).get("thinking", {}).get("always", ())
    if (found := member(model)) in always:
        return Known(ThinkingKeys("always"), f"{found} of the family {model.family}")
    if family := family_thinking(model.family):
        return Known(family, f"the family {model.family}")
    known = parser_thinking(parsers.reasoning_parser(model)) or ThinkingKeys("switchable")
    return Known(known, "'reasoning_parser' of the model")


@cache
def family_thinking(name: str | None) -> ThinkingKeys | None:
    """Return ``thinking`` of a family; ``None`` if it has none."""
    thinking = table("families").get(name or "", {}).get("thinking")
    if thinking is None:
        return None
    typed = {
        state: _typed(thinking[state]) for state in ("enabled", "disabled") if state in thinking
    }
    return thinking_keys({**thinking, **typed})


@cache
def parser_thinking(parser: str | None) -> ThinkingKeys | None:
    """Return ``thinking`` that the families with a reasoning parser share; ``None``: they differ.

    Without efforts, which depend on the model.
    """
    found = [
        thinking
        for name, family in table("families").items()
        if family.get("reasoning_parser") == parser and (thinking := family_thinking(name))
    ]
    if found and all(each.mode == "always" for each in found):
        return ThinkingKeys("always")
    switches = [each for each in found if each.mode == "switchable"]
    arguments = [(each.enabled, each.disabled) for each in switches]
    if not switches or any(each != arguments[0] for each in arguments):
        return None
    return ThinkingKeys("switchable", enabled=arguments[0][0], disabled=arguments[0][1])


def _typed(arguments: dict[str, str]) -> dict[str, Any]:
    """Return arguments with YAML's types: all scalars of a data file are strings."""
    return {name: yaml.safe_load(value) for name, value in arguments.items()}


def _origin(model: AnyVllmModel, own: str | None) -> str:
    return "the model" if own or model.family is None else f"the family {model.family}"
