"""Abilities of models that contradict each other, or have no effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.config import Developers, Fleet, Model, ProviderModel
from mirrorfleet.config.abilities import ThinkingKeys
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.vllm import AnyVllmModel
from mirrorfleet.engines.abilities import abilities, is_claude

ABILITIES = ("tools", "vision", "documents", "thinking")


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        key: Key = ("models", model.name)
        if is_claude(model):
            yield from _of_claude(fleet, model, key)
        if model.own_abilities.thinking:
            yield from _thinking(fleet, model, (*key, "thinking"), model.own_abilities.thinking)
    for group in fleet.developers.values():
        if group.thinking is False:
            yield from _always(fleet, group)


def _of_claude(fleet: Fleet, model: Model, key: Key) -> Iterator[Problem]:
    for name in ABILITIES:
        if getattr(model.own_abilities, name) is not None:
            yield fleet.document.problem(
                (*key, name),
                "does not apply to Claude: Claude Code knows its abilities.",
                "Remove it.",
            )


def _thinking(fleet: Fleet, model: Model, key: Key, own: ThinkingKeys) -> Iterator[Problem]:
    """Yield the keys of ``thinking`` that have no effect."""
    without: dict[str, str] = {}
    if own.mode == "none":
        keys = ("default", "enabled", "disabled", "efforts")
        without = dict.fromkeys(keys, "has no effect with 'mode: none'.")
    elif own.mode == "always":
        without = dict.fromkeys(
            ("default", "enabled", "disabled"), "has no effect with 'mode: always'."
        )
    elif not isinstance(model, AnyVllmModel):
        without = dict.fromkeys(("enabled", "disabled"), "applies to models on vLLM only.")
    written: Any = fleet.document.data
    for part in key:
        written = written[part]
    for name, mistake in without.items():
        if isinstance(written, dict) and name in written:
            yield fleet.document.problem((*key, name), mistake, "Remove it.")
    if own.mode == "switchable" and bool(own.enabled) != bool(own.disabled):
        name, other = ("enabled", "disabled") if own.enabled else ("disabled", "enabled")
        if own.default != other:
            yield fleet.document.problem(
                key,
                f"has '{name}' and no '{other}', so a request could not change it.",
                f"Add '{other}' with the arguments of the chat template, from the model card.",
            )


def _always(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """Warn of models that think although the group has ``thinking: false``."""
    names = [group.model, *filter(None, [group.subagent_model]), *group.models]
    models = dict.fromkeys(model.name for name in names if (model := fleet.find(name)))
    always = [
        name
        for name in models
        if not isinstance(fleet.models[name], ProviderModel)
        and abilities(fleet.models[name]).thinking.mode == "always"
    ]
    if always:
        listed = ", ".join(f"'{name}'" for name in always)
        yield fleet.document.warning(
            ("developers", group.name, "thinking"),
            f"is false, but {listed} always {'thinks' if len(always) == 1 else 'think'}: requests "
            "get the lowest effort.",
            "Choose a model that can answer without thinking, or remove this key.",
        )
