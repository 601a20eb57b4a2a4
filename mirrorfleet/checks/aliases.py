"""Aliases and fallbacks that form cycles, have conflicts, or point to unsuitable models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mirrorfleet.config import Fleet, Model, ProviderModel
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.wildcards import matching
from mirrorfleet.engines.abilities import generates


def problems(fleet: Fleet) -> Iterator[Problem]:
    for name in fleet.aliases:
        yield from _alias(fleet, name)
    yield from _unrouted(fleet)
    for kind, lists in fleet.fallback_lists.items():
        yield from _conflicting(fleet, kind, lists)
        for name, targets in lists.items():
            yield from _fallbacks(fleet, (kind, name), targets)


def _alias(fleet: Fleet, name: str) -> Iterator[Problem]:
    if name in fleet.document.names("models"):
        yield fleet.document.problem(
            ("aliases", name), "is also the name of a model.", "Rename one of the two."
        )
    visited, target = {name}, name
    while target in fleet.aliases:
        target = fleet.aliases[target]
        if target in visited:
            yield fleet.document.problem(
                ("aliases", name), "is in a cycle of aliases.", "Set it to a model."
            )
            break
        visited.add(target)


def _conflicting(
    fleet: Fleet, kind: str, lists: Mapping[str, tuple[str, ...]]
) -> Iterator[Problem]:
    """Yield a problem if two names of one model have different fallbacks."""
    first: dict[str, str] = {}
    for name in lists:
        if model := fleet.find(name):
            other = first.setdefault(model.name, name)
            if [*map(fleet.find, lists[other])] != [*map(fleet.find, lists[name])]:
                yield fleet.document.problem(
                    (kind, name),
                    f"has different fallbacks than '{other}', another name of the same model.",
                    "Keep one of the two lists.",
                )


def _fallbacks(fleet: Fleet, key: Key, targets: tuple[str, ...]) -> Iterator[Problem]:
    name = str(key[1])
    model = fleet.find(name)
    for index, target in enumerate(targets):
        other = fleet.find(target)
        if not model or not other or {name, target} & fleet.models.keys() & fleet.aliases.keys():
            continue  # other checks report these names
        windows = (limit(model, "context"), limit(other, "context"))
        if other is model:
            yield fleet.document.problem(
                (*key, index), "is the model itself.", "Choose another model, or remove it."
            )
        elif _assumed(model) or _assumed(other):
            continue  # the check of providers reports it
        elif not (generates(model) and generates(other)):
            continue  # the checks of pooling models and model_info report it
        elif key[0] == "context_window_fallbacks":
            if other.context <= model.context:
                yield fleet.document.problem(
                    (*key, index),
                    f"has a context window of {other.context} tokens; it must be larger than the "
                    f"{model.context} of '{name}'.",
                    "Choose a model with a larger context window.",
                    given=windows,
                )
        elif other.context < model.context:
            yield fleet.document.warning(
                (*key, index),
                f"has a context window of {other.context} tokens, smaller than the {model.context} "
                f"of '{name}': long conversations will not fit.",
                "Choose a model with a context window at least as large.",
                given=windows,
            )


def limit(model: Model, name: str) -> Key:
    """Return the place of a model's ``context`` or ``output``."""
    return model.limit(name) if isinstance(model, ProviderModel) else ("models", model.name, name)


def _assumed(model: Model) -> bool:
    """Return whether the context window of a model is an assumption."""
    return isinstance(model, ProviderModel) and "context" in model.assumed


def _unrouted(fleet: Fleet) -> Iterator[Problem]:
    """Yield a warning for model ids that Claude Code requests by itself and no gateway routes."""
    routed = fleet.document.names("models") | fleet.document.names("aliases")
    ids_of = fleet.client_ids
    unknown = {
        tier: ", ".join(ids)
        for tier in REQUESTED
        if tier not in routed
        and (
            ids := [
                identity
                for identity in ids_of[tier]
                if identity not in routed and not matching(routed, identity)
            ]
        )
    }
    if fleet.gateway and fleet.developers and unknown:
        yield fleet.document.warning(
            ("aliases",),
            f"no model serves {', '.join(unknown.values())}, which Claude Code requests by itself.",
            f"Add aliases: {{{', '.join(f'{tier}: MODEL' for tier in unknown)}}}.",
        )


REQUESTED = ("opus", "sonnet", "haiku")
"""Tiers that Claude Code uses by default; it uses `fable` only on a user's request."""
