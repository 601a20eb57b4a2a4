"""The model of each of Claude Code's tiers, for a group of developers."""

from __future__ import annotations

from collections.abc import Mapping

from mirrorfleet.config import Developers, Fleet, Gateway, Model
from mirrorfleet.config.client_ids import TIERS
from mirrorfleet.config.key_holders import opens
from mirrorfleet.planning.provenance import Provenance
from mirrorfleet.planning.setting import group_key


def tier_model(fleet: Fleet, group: Developers, tier: str) -> tuple[Model, Provenance]:
    """Return the model that serves a tier for a group, and why: the alias, or the group's model."""
    key = group_key(group, "model")
    found = fleet.find(tier)
    if not found:
        reason = f"there is no model for {tier}, and its requests need one"
        return fleet.resolve(group.model), Provenance((key,), reason)
    if not opens(fleet, group, found):
        keys = (group_key(group, "models"), key)
        reason = f"{tier} is not among them, and its requests need a model"
        return fleet.resolve(group.model), Provenance(keys, reason)
    return found, Provenance((f"aliases.{tier}",))


def tiers(fleet: Fleet, gateway: Gateway) -> dict[str, str]:
    """Return the models by tier for ids of Claude that the fleet does not serve.

    A tier without an alias is among them if all groups have the same model for it.
    """
    if gateway.foreign_ids == "reject":
        return {}
    found = {}
    for tier in TIERS:
        groups = {tier_model(fleet, group, tier)[0].name for group in fleet.developers.values()}
        if alias := fleet.find(tier):
            found[tier] = alias.name
        elif len(groups) == 1:
            found[tier] = groups.pop()
    return found


def group_tiers(fleet: Fleet, gateway: Gateway) -> dict[str, Mapping[str, str]]:
    """Return the models by tier of each group for which they differ from those of the fleet.

    Other groups are not listed: a new one changes nothing at the gateways but its keys.
    """
    common = tiers(fleet, gateway)
    groups = {
        group.name: {tier: tier_model(fleet, group, tier)[0].name for tier in common}
        for group in fleet.developers.values()
    }
    return {name: found for name, found in groups.items() if found != common}
