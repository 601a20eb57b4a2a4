"""Files of a gateway beside its configuration that Mirrorfleet writes: limits and usage."""

from __future__ import annotations

from typing import Any

from mirrorfleet.config.problems import Key
from mirrorfleet.importing import gateway
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.sources import Source

WRITTEN = "Mirrorfleet writes it again"


def take(draft: Draft, source: Source) -> None:
    """Take limits.json or usage.json; other gateways of the same fleet have the same."""
    tree = source.tree
    if "keys" in tree.items or "openai" in tree.items:
        return  # when the groups are known
    if "limits" in tree.items and "budgets" in tree.items:
        _limits(draft, tree.items["limits"])
        for budget in tree.items["budgets"].list:
            _budget(draft, budget)
        passthrough = tree.items.get("passthrough")
        if passthrough and passthrough.text in draft.data.get("models", {}):
            gateway.once(draft, PASSTHROUGH, passthrough.text, passthrough)
    elif "rows" in tree.items and "days" in tree.items:
        _usage(draft, tree)
    draft.leave(tree, WRITTEN, Fate.DERIVED)


PASSTHROUGH: Key = ("gateway", "anthropic_passthrough")


def passthrough(draft: Draft) -> None:
    """Choose the model of the passthrough, if there is one and no file names it."""
    if draft.get(*PASSTHROUGH) is not None:
        return
    models = draft.data.get("models", {}).items()
    found = [name for name, model in models if model.get("provider") == "anthropic"]
    if found:
        reason = "the passthrough has its URL and key; no file names the model"
        draft.choose(PASSTHROUGH, found[0], reason)


def _limits(draft: Draft, limits: Node) -> None:
    for name, turns in limits.items.items():
        above: Key = ("gateway", "limits", name)
        named = name in ("people", "groups", "models")
        for holder, each in (turns if named else limits).items.items():
            if not named and holder != name:
                continue
            for kind, node in each.items.items():
                key = (*above, holder, kind) if named else (*above, kind)
                gateway.once(draft, key, node.value, node)


def _budget(draft: Draft, node: Node) -> None:
    name, unit, amount = (node.get(each) for each in ("name", "unit", "amount"))
    if not (name and unit and amount and unit.text in ("tokens", "cost")):
        draft.leave(node, "is not a budget of this release", Fate.OPEN)
        return
    key: Key = ("gateway", "budgets", name.text)
    if draft.get(*key) is not None:
        draft.leave(node, f"the same as {'.'.join(map(str, key))}", Fate.FOLDED)
        return
    draft.settle(name, key)
    draft.settle(unit, (*key, unit.text))
    draft.take(amount, (*key, unit.text))
    for part in (
        "per",
        "period",
        "time_zone",
        "models",
        "exceptions",
        "cache_read_weight",
        "warn_at",
    ):
        _part(draft, key, part, unit.text, node.get(part))


DEFAULTS: dict[str, Any] = {"time_zone": "UTC", "cache_read_weight": 0.1, "warn_at": 80}


def _part(draft: Draft, key: Key, name: str, unit: str, node: Node | None) -> None:
    if node is None or not list(node.leaves()):
        return
    if node.value in ({}, []) or node.value == DEFAULTS.get(name):
        draft.leave(node, "the default of the fleet file", Fate.DERIVED)
    elif name == "cache_read_weight" and unit == "cost":
        draft.leave(node, "a budget in dollars has the price of cached tokens", Fate.DERIVED)
    elif name == "exceptions":
        for person, each in node.items.items():
            value = "unlimited" if each.value is None else each.value
            draft.take(each, (*key, name, person), value)
    else:
        draft.take(node, (*key, name))


def _usage(draft: Draft, tree: Node) -> None:
    for name, default in (("rows", 90), ("days", 3 * 365), ("people", "name")):
        node = tree.get(name)
        if node is None or node.value == default:
            draft.leave(node, "the default of the fleet file", Fate.DERIVED)
        else:
            value = node.value if name == "people" else f"{node.value}d"
            gateway.once(draft, ("gateway", "usage", name), value, node)
    if draft.get("gateway", "usage") is None:
        draft.put(("gateway", "usage"), {})
