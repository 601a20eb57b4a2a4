"""Models without tools, which Claude Code cannot use."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, ProviderModel
from mirrorfleet.config.client_ids import TIERS
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.engines.abilities import abilities, generates
from mirrorfleet.engines.registry import engine_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for key, name in _used(fleet):
        model = fleet.find(name)
        if model is None or isinstance(model, ProviderModel) or not generates(model):
            continue
        if not abilities(model).tools:
            reason = engine_of(model).missing_tools(model)
            yield fleet.document.problem(
                key,
                f"resolves to '{model.name}', {reason}: Claude Code needs tool calls.",
                f"Choose another model, or correct its {engine_of(model).tools_keys}.",
            )


def _used(fleet: Fleet) -> Iterator[tuple[Key, str]]:
    """Yield every name that clients request or that is a fallback, with its key."""
    for group in fleet.developers.values():
        yield ("developers", group.name, "model"), group.model
        if group.subagent_model:
            yield ("developers", group.name, "subagent_model"), group.subagent_model
    if fleet.developers:
        tiers = fleet.aliases.keys() & set(TIERS)
        yield from ((("aliases", tier), tier) for tier in sorted(tiers))
        for kind, targets in fleet.fallback_lists.items():
            for name, others in targets.items():
                yield from (((kind, name), other) for other in others)
