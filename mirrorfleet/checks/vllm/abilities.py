"""Abilities that vLLM does not have without a parser, or without a part of the weights."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.vllm import AnyVllmModel, VllmModel
from mirrorfleet.engines.placement import models_of
from mirrorfleet.engines.vllm import model_config, parsers


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, AnyVllmModel):
        yield from _parsers(fleet, model, ("models", model.name))
    for model in models_of(fleet, VllmModel):
        yield from _vision(fleet, model, ("models", model.name, "vision"))


def _parsers(fleet: Fleet, model: AnyVllmModel, key: Key) -> Iterator[Problem]:
    """Yield abilities that vLLM does not have without a parser, and parsers without ability."""
    own = model.own_abilities
    if own.tools and parsers.is_known(model) and parsers.tool_parser(model) is None:
        yield fleet.document.problem(
            (*key, "tools"),
            "is true, but the model has no parser of tool calls.",
            "Add 'tool_parser' from the model card.",
        )
    if own.tools is False and model.tool_parser:
        yield _contradiction(fleet, (*key, "tool_parser"), "'tools: false'")
    if own.thinking is None:
        return
    thinks = own.thinking.mode != "none"
    if thinks and parsers.is_known(model) and parsers.reasoning_parser(model) is None:
        yield fleet.document.problem(
            (*key, "thinking"),
            "needs a parser: without one, thinking is a part of the answer.",
            "Add 'reasoning_parser' from the model card.",
        )
    if not thinks and model.reasoning_parser:
        yield _contradiction(fleet, (*key, "reasoning_parser"), "'thinking' without thinking")


def _contradiction(fleet: Fleet, key: Key, other: str) -> Problem:
    return fleet.document.problem(key, f"contradicts {other}.", "Remove one of them.")


def _vision(fleet: Fleet, model: VllmModel, key: Key) -> Iterator[Problem]:
    config = model_config.read(model_config.read_on_controller(model.weights))
    if model.own_abilities.vision and config and not model_config.has_vision(config):
        yield fleet.document.problem(
            key, "is true, but config.json of the weights has no part for images.", "Remove it."
        )
