"""The parsers of a model on vLLM: its own keys, else those of its family."""

from __future__ import annotations

from mirrorfleet.config.vllm import AnyVllmModel
from mirrorfleet.data import table


def tool_parser(model: AnyVllmModel) -> str | None:
    """Return the parser of tool calls; ``None`` for a model without tools."""
    if model.own_abilities.tools is False:
        return None
    return model.tool_parser or _of_family(model, "tool_parser")


def reasoning_parser(model: AnyVllmModel) -> str | None:
    """Return the parser of thinking; ``None`` for a model without thinking.

    Most of them take an answer for thinking that has no end.
    """
    thinking = model.own_abilities.thinking
    if thinking is not None and thinking.mode == "none":
        return None
    return model.reasoning_parser or _of_family(model, "reasoning_parser")


def is_known(model: AnyVllmModel) -> bool:
    """Return whether the parsers of a model are known; a check reports unknown families."""
    own = model.tool_parser or model.reasoning_parser
    return model.family in table("families") or (model.family is None and own is not None)


def _of_family(model: AnyVllmModel, key: str) -> str | None:
    parser: str | None = table("families").get(model.family or "", {}).get(key)
    return parser
