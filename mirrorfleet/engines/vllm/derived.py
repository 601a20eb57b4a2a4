"""The abilities of a model on vLLM, from its parsers and its family."""

from __future__ import annotations

from typing import Any

import yaml

from mirrorfleet.config.abilities import NO_THINKING, ThinkingKeys, thinking_keys
from mirrorfleet.config.vllm import AnyVllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.known import Known, KnownAbilities, assumed
from mirrorfleet.engines.vllm import parsers


def abilities(model: AnyVllmModel) -> KnownAbilities:
    """Return the abilities of a model, each with its source."""
    return KnownAbilities(
        tools=_tools(model),
        vision=assumed(False),
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
        return Known(NO_THINKING, f"without 'reasoning_parser' in {origin}, nobody separates it")
    if family := family_thinking(model):
        return Known(family, f"the family {model.family}")
    return Known(ThinkingKeys("switchable"), "'reasoning_parser' of the model")


def family_thinking(of: AnyVllmModel | str) -> ThinkingKeys | None:
    """Return ``thinking`` of a model's family, or of a family; ``None`` if it has none."""
    name = of if isinstance(of, str) else of.family or ""
    thinking = table("families").get(name, {}).get("thinking")
    if thinking is None:
        return None
    typed = {
        state: _typed(thinking[state]) for state in ("enabled", "disabled") if state in thinking
    }
    return thinking_keys({**thinking, **typed})


def _typed(arguments: dict[str, str]) -> dict[str, Any]:
    """Return arguments with YAML's types: all scalars of a data file are strings."""
    return {name: yaml.safe_load(value) for name, value in arguments.items()}


def _origin(model: AnyVllmModel, own: str | None) -> str:
    return "the model" if own or model.family is None else f"the family {model.family}"
