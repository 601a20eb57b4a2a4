"""What models are for, and LiteLLM's model_info of them."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import literals
from mirrorfleet.config import Fleet, Model, ProviderModel
from mirrorfleet.config.client_ids import TIERS
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.data import table


def problems(fleet: Fleet) -> Iterator[Problem]:
    for name, information in fleet.information.items():
        key: Key = ("models", name, "model_info")
        derived = table("litellm_derived")["model_info"]
        for setting in information:
            if setting in derived:
                yield fleet.document.problem(
                    (*key, setting), "cannot be set here.", derived[setting]
                )
        if fleet.gateway:
            yield from literals.problems(fleet, key, information)
        yield from _groups(fleet, key, information.get("access_groups", ()))
        yield from _engine(fleet, fleet.models[name], key)
    for key, name in _used(fleet):
        model = fleet.find(name)
        if isinstance(model, ProviderModel) and not model.has_window:
            yield fleet.document.problem(
                key,
                f"resolves to '{model.name}', a model for {model.mode}, which answers no prompts.",
                f"Choose another model, or correct models.{model.name}.model_info.mode.",
                given=(("models", model.name, "model_info"),),
            )


def _groups(fleet: Fleet, key: Key, groups: tuple[str, ...]) -> Iterator[Problem]:
    """Yield a problem for a group with the name of a model: a key for one would open the other."""
    taken = fleet.document.names("models") | fleet.document.names("aliases")
    for index, group in enumerate(groups):
        if group in taken:
            yield fleet.document.problem(
                (*key, "access_groups", index),
                f"'{group}' is also the name of a model or alias: a key for it would open both.",
                "Rename the group.",
            )


def _engine(fleet: Fleet, model: Model, key: Key) -> Iterator[Problem]:
    """Yield a problem for the mode of an engine's model: Mirrorfleet tests it with prompts."""
    if not isinstance(model, ProviderModel):
        mode = fleet.information[model.name].get("mode", "chat")
        if mode not in ("chat", "responses"):
            yield fleet.document.problem(
                (*key, "mode"),
                f"is {mode}, but engines of this file serve models for chat.",
                "Write provider: openai_compatible with the url of the server.",
            )


def _used(fleet: Fleet) -> Iterator[tuple[Key, str]]:
    """Yield every name that must answer prompts, with its key."""
    for group in fleet.developers.values():
        yield ("developers", group.name, "model"), group.model
        if group.subagent_model:
            yield ("developers", group.name, "subagent_model"), group.subagent_model
    tiers = fleet.aliases.keys() & set(TIERS)
    yield from ((("aliases", tier), tier) for tier in sorted(tiers))
    for kind, targets in fleet.fallback_lists.items():
        for name, others in targets.items():
            first = fleet.find(name)
            if not (isinstance(first, ProviderModel) and not first.has_window):
                yield from (((kind, name, at), other) for at, other in enumerate(others))
    if fleet.gateway:
        for index, name in enumerate(fleet.gateway.probe or ()):
            yield ("gateway", "probe", index), name
