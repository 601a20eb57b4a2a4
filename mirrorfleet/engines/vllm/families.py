"""What the models of a family need besides parsers: see mirrorfleet/data/families.yml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.data import table


def arguments(model: VllmModel) -> Mapping[str, Any]:
    """Return vLLM's options of a model: those of its family, and its own, which win."""
    needed: Mapping[str, Any] = _typed(_family(model).get("arguments", {}))
    own = model.arguments
    return {name: each for name, each in needed.items() if f"no-{name}" not in own} | {**own}


def template(model: VllmModel) -> str | None:
    """Return the chat template in vLLM's sources that a family needs; ``None`` for no or own one.

    vLLM's package does not contain these templates.
    """
    has_own = model.chat_template is not None or "chat-template" in model.arguments
    needed: str | None = _family(model).get("template")
    return None if has_own else needed


def _typed(value: Any) -> Any:
    """Return a value of the table with booleans and numbers: the table has strings only."""
    if isinstance(value, Mapping):
        return {name: _typed(each) for name, each in value.items()}
    return yaml.safe_load(value)


def _family(model: VllmModel) -> Mapping[str, Any]:
    family: Mapping[str, Any] = table("families").get(model.family or "", {})
    return family
