"""Context windows that are too small for a session of Claude Code."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Developers, Fleet, Model
from mirrorfleet.config.client_ids import TIERS
from mirrorfleet.config.compaction import MARGIN
from mirrorfleet.config.key_holders import opens
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.engines.abilities import generates

SMALLEST = 65_536
"""Least context window, in tokens. Claude Code's own prompt takes 15,000 to 57,000 of them."""

ROOM = 32_768
"""Least tokens of a conversation, with that prompt: with fewer, compaction frees too little."""

PAGE = 35_000
"""Most tokens of a web page: WebFetch sends up to 100,000 characters, about three per token."""


def _find(fleet: Fleet, name: str) -> Model | None:
    """Return the model of a name; ``None`` for one without turns, which another check reports."""
    model = fleet.find(name)
    return model if model and generates(model) else None


def problems(fleet: Fleet) -> Iterator[Problem]:
    for group in fleet.developers.values():
        yield from _window(fleet, group)
        yield from _outputs(fleet, group)
        yield from _tiers(fleet, group)
        yield from _pages(fleet, group)


def _window(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    model = _find(fleet, group.model)
    if model and model.context < SMALLEST:
        yield fleet.document.warning(
            ("developers", group.name, "model"),
            f"'{model.name}' has a context window of {model.context} tokens, and Claude Code's own "
            "prompt takes up to 57000.",
            f"Increase models.{model.name}.context to {SMALLEST} or more, or choose another model.",
        )
    elif model and 0 < model.context - model.output < MARGIN + ROOM:
        yield fleet.document.warning(
            ("developers", group.name, "model"),
            f"'{model.name}' has an output of {model.output} tokens: the client compacts at "
            f"{max(0, model.context - model.output - MARGIN)} tokens, and its own prompt can take "
            "more.",
            f"Decrease models.{model.name}.output to {model.context - MARGIN - ROOM} or less, or "
            "increase its context.",
        )
    # The client uses the context window of `model` for all its requests.
    other = _find(fleet, group.subagent_model) if group.subagent_model else None
    if model and other and other.context < model.context and not _has_fallback(fleet, other, model):
        yield fleet.document.warning(
            ("developers", group.name, "subagent_model"),
            f"'{other.name}' has a context window of {other.context} tokens, but the client uses "
            f"the {model.context} of '{model.name}' for subagents too: long ones will not fit.",
            _larger(model, other),
            given=_given(fleet, model, other),
        )


def _has_fallback(fleet: Fleet, small: Model, model: Model) -> bool:
    """Return whether a fallback of ``small`` has a context window as large as that of ``model``.

    LiteLLM uses the general fallbacks if the fleet has no context_window_fallbacks.
    """
    fallbacks = fleet.context_window_fallbacks or fleet.fallbacks
    targets = [fleet.models[name] for name in fallbacks.get(small.name, ()) if name in fleet.models]
    return any(target.context >= model.context for target in targets)


def _given(fleet: Fleet, *models: Model) -> tuple[Key, ...]:
    """Return the keys that decide whether a prompt fits these models or a fallback."""
    windows: list[Key] = [("models", model.name, "context") for model in models]
    names = [name for model in models for name in (model.name, *fleet.names(model))]
    fallbacks: list[Key] = [
        (kind, name) for kind in ("fallbacks", "context_window_fallbacks") for name in names
    ]
    return (*windows, *fallbacks)


def _larger(model: Model, *small: Model) -> str:
    """Return the fix for context windows that are smaller than that of ``model``."""
    fallbacks = ", ".join(dict.fromkeys(f"{other.name}: [{model.name}]" for other in small))
    return (
        "Choose a model with a context window at least as large, or add context_window_fallbacks: "
        f"{{{fallbacks}}}."
    )


def _outputs(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """Yield a problem if the output of the group's model does not fit the window of a tier.

    The client requests the same output from all models.
    """
    model = _find(fleet, group.model)
    for tier in TIERS:
        other = _find(fleet, tier)
        if model and other and other is not model and model.output >= other.context:
            yield fleet.document.problem(
                ("developers", group.name, "model"),
                f"'{model.name}' has an output of {model.output} tokens, and '{tier}' is "
                f"'{other.name}' with a context window of {other.context}: a prompt would not fit.",
                f"Decrease models.{model.name}.output, or set '{tier}' to another model.",
            )


def _tiers(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """Yield a warning for tiers that a session can switch to and whose context window is smaller.

    The client requests ``haiku`` only for titles and web pages: see ``_pages``.
    """
    model = _find(fleet, group.model)
    small = {
        tier: other
        for tier in TIERS
        if tier != "haiku"
        and model
        and (other := _find(fleet, tier))
        and opens(fleet, group, other)
        and model.output < other.context < model.context
        and not _has_fallback(fleet, other, model)
    }
    if model and small:
        windows = ", ".join(
            f"{tier} is '{other.name}' with {other.context}" for tier, other in small.items()
        )
        yield fleet.document.warning(
            ("developers", group.name, "model"),
            f"'{model.name}' has a context window of {model.context} tokens, which the client uses "
            f"for every tier, but {windows}: long conversations will not fit.",
            _larger(model, *small.values()),
            given=_given(fleet, model, *small.values()),
        )


def _pages(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """Yield a warning if web pages, with the output of ``model`` reserved, do not fit ``haiku``."""
    model, small = _find(fleet, group.model), _find(fleet, "haiku")
    denied = "WebFetch" in group.permissions.deny
    if not model or not small or small is model or denied or not opens(fleet, group, small):
        return
    needed = PAGE + model.output
    if model.output < small.context < needed and not _has_fallback(fleet, small, model):
        yield fleet.document.warning(
            ("developers", group.name, "model"),
            f"haiku is '{small.name}' with a context window of {small.context} tokens, but "
            f"WebFetch sends it up to 100000 characters of a page (about {PAGE} tokens) and "
            f"reserves {model.output} for the answer: long pages will not fit.",
            f"Increase models.{small.name}.context to {needed} or more, choose another model for "
            "haiku, or write permissions: {deny: [WebFetch]}.",
            given=_given(fleet, model, small),
        )
