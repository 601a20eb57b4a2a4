"""Models with a ``task``: keys that they do not have, and places that need a model with answers."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import FALLBACKS, EngineModel, Fleet
from mirrorfleet.config.client_ids import TIERS
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.engines.placement import models_of

MAKES = {"embed": "makes embeddings", "rerank": "scores documents"}
"""What a model does, by its task."""

ANSWERS = ("output", "family", "tool_parser", "reasoning_parser", "tools", "concurrency")
"""Keys of models that generate answers."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, EngineModel):
        yield from _keys(fleet, model)
    for key, name in _places(fleet):
        found = fleet.find(name)
        if isinstance(found, EngineModel) and found.task:
            yield fleet.document.problem(
                key,
                f"resolves to '{found.name}', which {MAKES[found.task]} (task: {found.task}) and "
                "generates no text.",
                _fix(key, found),
                given=(("models", found.name, "task"),),
            )


def _keys(fleet: Fleet, model: EngineModel) -> Iterator[Problem]:
    """Yield keys of answers at a model that generates none."""
    for name in ANSWERS if model.task else ():
        if fleet.document.says("models", model.name, name):
            yield fleet.document.problem(
                ("models", model.name, name),
                f"is for answers, but the model {MAKES[model.task or '']} (task: {model.task}).",
                "Remove it, or remove 'task'.",
                given=(("models", model.name, "task"),),
            )


def _places(fleet: Fleet) -> Iterator[tuple[Key, str]]:
    """Yield each name that stands for a model that Claude Code asks, with its key."""
    for name, target in fleet.aliases.items():
        if target in fleet.models:
            yield ("aliases", name), target
    for kind in FALLBACKS:
        for name, targets in fleet.fallback_lists[kind].items():
            yield (kind, name), name
            yield from (((kind, name, index), other) for index, other in enumerate(targets))
    for group in fleet.developers.values():
        key: Key = ("developers", group.name)
        yield (*key, "model"), group.model
        if group.subagent_model:
            yield (*key, "subagent_model"), group.subagent_model
        yield from (((*key, "models", index), name) for index, name in enumerate(group.models))
    for person, own in fleet.keys.people.items():
        models = enumerate(own.models)
        yield from ((("keys", "people", person, "models", index), name) for index, name in models)
    for index, name in enumerate((fleet.gateway and fleet.gateway.probe) or ()):
        yield ("gateway", "probe", index), name


def _fix(key: Key, model: EngineModel) -> str:
    if key[0] == "aliases" and key[1] not in TIERS:
        return f"Remove it: clients ask for '{model.name}' by this name, at /v1/{_path(model)}."
    if key[0] in FALLBACKS or isinstance(key[-1], int):
        return "Remove it."
    return "Choose a model without 'task'."


def _path(model: EngineModel) -> str:
    return "embeddings" if model.task == "embed" else "rerank"
