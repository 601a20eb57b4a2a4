"""Windows of models that a session of Claude Code overruns, or in which it has no room."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Developers, Fleet, Model
from mirrorfleet.config.compaction import MARGIN
from mirrorfleet.config.key_holders import opens
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.data import table

SMALLEST = 65_536
"""Tokens. Claude Code's own prompt takes 15,000 to 57,000 of them before the work begins."""

ROOM = 32_768
"""Tokens of a conversation, that prompt among them, without which compacting gains little."""

PAGE = 35_000
"""Tokens of a page of the web: WebFetch sends 100,000 characters at most; three make a token."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for group in fleet.developers.values():
        yield from _window(fleet, group)
        yield from _answers(fleet, group)
        yield from _tiers(fleet, group)
        yield from _pages(fleet, group)


def _window(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    model = fleet.find(group.model)
    if model and model.context < SMALLEST:
        yield fleet.document.warning(
            ("developers", group.name, "model"),
            f"leads to '{model.name}' with a window of {model.context}: Claude Code's own prompt "
            "takes up to 57000.",
            f"Give it {SMALLEST} or more, or another model.",
        )
    elif model and 0 < model.context - model.output < MARGIN + ROOM:
        yield fleet.document.warning(
            ("developers", group.name, "model"),
            f"leads to '{model.name}', whose answers of up to {model.output} tokens leave a "
            f"conversation {max(0, model.context - model.output - MARGIN)} before it is compacted: "
            "Claude Code's own prompt alone may take more.",
            f"Give '{model.name}' an output of {model.context - MARGIN - ROOM} or less, or a "
            "larger context.",
        )
    # The client counts with one window for all that it asks: that of `model`.
    other = fleet.find(group.subagent_model) if group.subagent_model else None
    if model and other and other.context < model.context and not _caught(fleet, other, model):
        yield fleet.document.warning(
            ("developers", group.name, "subagent_model"),
            f"leads to '{other.name}' with a window of {other.context}, and the client counts with "
            f"the {model.context} of '{model.name}' for subagents too: long ones will not fit.",
            _larger(model, other),
            given=_given(fleet, model, other),
        )


def _caught(fleet: Fleet, small: Model, model: Model) -> bool:
    """Does a model with the window of ``model`` answer what is too long for a smaller one?

    LiteLLM asks the general fallbacks where the fleet has none for windows.
    """
    said = fleet.context_window_fallbacks or fleet.fallbacks
    targets = [fleet.models[name] for name in said.get(small.name, ()) if name in fleet.models]
    return any(each.context >= model.context for each in targets)


def _given(fleet: Fleet, *models: Model) -> tuple[Key, ...]:
    """Return what says whether a prompt fits these models, or another one answers."""
    windows: list[Key] = [("models", each.name, "context") for each in models]
    names = [name for each in models for name in (each.name, *fleet.names(each))]
    fallbacks: list[Key] = [
        (kind, name) for kind in ("fallbacks", "context_window_fallbacks") for name in names
    ]
    return (*windows, *fallbacks)


def _larger(model: Model, *small: Model) -> str:
    """Return what to do where windows are smaller than that of ``model``."""
    fallbacks = ", ".join(dict.fromkeys(f"{each.name}: [{model.name}]" for each in small))
    return (
        "Choose a model with a window at least as large, or add context_window_fallbacks: "
        f"{{{fallbacks}}}."
    )


def _answers(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """The client caps the answers of all its models alike: those of the tiers need the room."""
    model = fleet.find(group.model)
    for tier in table("claude_code"):
        other = fleet.find(tier)
        if model and other and other is not model and model.output >= other.context:
            yield fleet.document.problem(
                ("developers", group.name, "model"),
                f"leads to '{model.name}' with answers of {model.output} tokens, and '{tier}' to "
                f"'{other.name}', whose window is {other.context}: no room for a prompt.",
                f"Give '{model.name}' a smaller 'output', or '{tier}' another model.",
            )


def _tiers(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """Tiers of which a session or a subagent may make its model, and whose windows it overruns.

    The client itself asks ``haiku`` for titles, and what a page of the web says: ``_pages``.
    """
    model = fleet.find(group.model)
    small = {
        tier: other
        for tier in table("claude_code")
        if tier != "haiku"
        and model
        and (other := fleet.find(tier))
        and opens(fleet, group, other)
        and model.output < other.context < model.context
        and not _caught(fleet, other, model)
    }
    if model and small:
        windows = ", ".join(
            f"{tier} is '{other.name}' with {other.context}" for tier, other in small.items()
        )
        yield fleet.document.warning(
            ("developers", group.name, "model"),
            f"leads to '{model.name}', and the client counts with its window of {model.context} "
            f"for every tier: {windows}. What is longer will not fit there.",
            _larger(model, *small.values()),
            given=_given(fleet, model, *small.values()),
        )


def _pages(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """A small ``haiku`` that WebFetch sends whole pages, with the answers of ``model`` reserved."""
    model, small = fleet.find(group.model), fleet.find("haiku")
    denied = "WebFetch" in group.permissions.deny
    if not model or not small or small is model or denied or not opens(fleet, group, small):
        return
    needed = PAGE + model.output
    if model.output < small.context < needed and not _caught(fleet, small, model):
        yield fleet.document.warning(
            ("developers", group.name, "model"),
            f"leads to '{model.name}', and haiku is '{small.name}' with a window of "
            f"{small.context}: WebFetch sends it up to 100000 characters of a page, about {PAGE} "
            f"tokens, and reserves {model.output} for the answer. Long pages will not fit.",
            f"Give '{small.name}' a context of {needed} or more, write another model for haiku, or "
            "permissions: {deny: [WebFetch]}.",
            given=_given(fleet, model, small),
        )
