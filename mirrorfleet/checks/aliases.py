"""Aliases and fallbacks that lead nowhere good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mirrorfleet.config import Fleet, Model, ProviderModel
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.data import table


def problems(fleet: Fleet) -> Iterator[Problem]:
    for name in fleet.aliases:
        yield from _alias(fleet, name)
    yield from _unrouted(fleet)
    for kind, lists in fleet.fallback_lists.items():
        yield from _twice(fleet, kind, lists)
        for name, targets in lists.items():
            yield from _fallbacks(fleet, (kind, name), targets)


def _alias(fleet: Fleet, name: str) -> Iterator[Problem]:
    if name in fleet.document.names("models"):
        yield fleet.document.problem(
            ("aliases", name), "is a model's name as well.", "Rename one of the two."
        )
    seen, at = {name}, name
    while at in fleet.aliases:
        at = fleet.aliases[at]
        if at in seen:
            yield fleet.document.problem(
                ("aliases", name), "leads back to itself.", "Point it at a model."
            )
            break
        seen.add(at)


def _twice(fleet: Fleet, kind: str, lists: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    """Two names of one model, with different fallbacks: it has one list under all its names."""
    written: dict[str, str] = {}
    for name in lists:
        if model := fleet.find(name):
            other = written.setdefault(model.name, name)
            one, two = ([fleet.find(target) for target in lists[each]] for each in (other, name))
            if one != two:
                yield fleet.document.problem(
                    (kind, name),
                    f"is another name of '{model.name}', which has other fallbacks under "
                    f"'{other}'.",
                    "Write them under one of the two names.",
                )


def _fallbacks(fleet: Fleet, key: Key, targets: tuple[str, ...]) -> Iterator[Problem]:
    name = str(key[1])
    model = fleet.find(name)
    for at, target in enumerate(targets):
        other = fleet.find(target)
        if not model or not other or {name, target} & fleet.models.keys() & fleet.aliases.keys():
            continue  # a mistake of the names themselves
        windows: tuple[Key, ...] = (
            ("models", model.name, "context"),
            ("models", other.name, "context"),
        )
        if other is model:
            yield fleet.document.problem(
                (*key, at), "falls back to itself.", "Name another model, or remove it."
            )
        elif _assumed(model) or _assumed(other):
            continue  # the check of providers says so, and what to write
        elif key[0] == "context_window_fallbacks":
            if other.context <= model.context:
                yield fleet.document.problem(
                    (*key, at),
                    f"has a window of {other.context}, which is not larger than the "
                    f"{model.context} of '{name}'.",
                    "Name a model with a larger window.",
                    given=windows,
                )
        elif other.context < model.context:
            yield fleet.document.warning(
                (*key, at),
                f"has a window of {other.context}, and '{name}' one of {model.context}: "
                "long conversations will not fit.",
                "Name a model with a window at least as large.",
                given=windows,
            )


def _assumed(model: Model) -> bool:
    """Is a window no more than a guess?"""
    return isinstance(model, ProviderModel) and "context" in model.assumed


def _unrouted(fleet: Fleet) -> Iterator[Problem]:
    """Model ids that Claude Code asks for by itself, and that no gateway would know."""
    answers = fleet.document.names("models") | fleet.document.names("aliases")
    unknown = {
        tier: ", ".join(ids)
        for tier in REQUESTED
        if tier not in answers
        and (ids := [each for each in table("claude_code")[tier] if each not in answers])
    }
    if fleet.gateway and fleet.developers and unknown:
        yield fleet.document.warning(
            ("aliases",),
            f"do not say who answers to {', '.join(unknown.values())}, which Claude Code asks for "
            "by itself.",
            f"Add {', '.join(unknown)}.",
        )


REQUESTED = ("opus", "sonnet", "haiku")
"""Tiers that Claude Code uses unless it is told not to; `fable` is used when a person asks."""
