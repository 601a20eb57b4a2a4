"""Names of models in LiteLLM's settings: aliases and fallbacks."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config.wildcards import has_wildcard, matching
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.releases import CLIENT_IDS


def aliases(draft: Draft, node: Node) -> None:
    """Take names of models: model_group_alias or model_alias_map."""
    own = {identity: tier for tier, identity in CLIENT_IDS.items()}
    for name, value in node.items.items():
        target_node = value.get("model") or value
        target = target_node.text
        tiers = node.items.get(own.get(name, ""))
        if tiers is not None and (tiers.get("model") or tiers).text == target:
            draft.leave(value, f"the alias {own[name]} has this id too", Fate.DERIVED)
        elif name in draft.data.get("models", {}) or has_wildcard(name):
            draft.leave(
                value,
                "a model has this name" if not has_wildcard(name) else "an alias has no wildcard",
            )
        elif resolved(draft, target) is None and target not in node.items:
            draft.leave(value, "LiteLLM has no model of this name either")
        elif draft.get("aliases", name) is not None:
            draft.leave(value, f"the same as aliases.{name}", Fate.FOLDED)
        else:
            draft.put(("aliases", name), target)
            draft.settle(target_node, ("aliases", name))
        draft.leave(value, "an alias has no other keys")


def resolved(draft: Draft, name: str) -> str | None:
    """Return the model of a name or an alias; a name that a wildcard routes is its own."""
    models, passed = draft.data.get("models", {}), set()
    while name in draft.data.get("aliases", {}) and name not in passed:
        passed.add(name)
        name = draft.data["aliases"][name]
    if name in models:
        return name
    return name if name and not has_wildcard(name) and matching(models, name) else None


def fallbacks(draft: Draft, kind: str, node: Node) -> None:
    for name, targets in _pairs(node):
        model = resolved(draft, name)
        if model is None:
            draft.leave(targets, f"LiteLLM has no model of the name {name!r} either")
            continue
        others = []
        for item in targets.list:
            target = resolved(draft, item.text)
            if target is None or target == model or target in others:
                reported = (
                    f"another name of '{target}'"
                    if target
                    else "LiteLLM has no model of this name either"
                )
                draft.leave(item, reported, Fate.FOLDED if target else Fate.LEFT_OUT)
            else:
                others.append(target)
        before = draft.get(kind, model)
        if not others:
            draft.leave(targets, "no other model is left")
        elif before == others:
            draft.leave(targets, f"the same as {kind}.{model}", Fate.FOLDED)
        elif before is not None:
            draft.leave(targets, f"another name of '{model}' has a list already")
        else:
            draft.put((kind, model), others)
            draft.settle(targets, (kind, model))
    draft.leave(node, "is not a list of {MODEL: [MODEL]}")


def _pairs(node: Node) -> Iterator[tuple[str, Node]]:
    for item in node.list or [node]:
        yield from item.items.items()
