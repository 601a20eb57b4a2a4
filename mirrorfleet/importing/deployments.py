"""Place models of providers: one deployment, several under one name, or a further name."""

from __future__ import annotations

from mirrorfleet.config.wildcards import has_wildcard
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.litellm_models import limits
from mirrorfleet.importing.parts import Part, Piece, fold, ordered, settle


def place_providers(draft: Draft, pieces: list[Piece]) -> None:
    by_name: dict[str, list[Piece]] = {}
    for piece in pieces:
        by_name.setdefault(piece.name, []).append(piece)
    placed: list[tuple[str, list[Piece]]] = []
    draft.data.setdefault("models", {})
    for name, group in by_name.items():
        group = _distinct(draft, name, group)
        first = next((other for other, its in placed if _alike(its, group)), None)
        if first is not None and not has_wildcard(name) and not has_wildcard(first):
            for piece in group:
                place_alias(draft, name, first, piece)
            continue
        if name in draft.get("models"):
            for piece in group:
                draft.leave(
                    piece.entry, f"models.{name} is an engine's: one name has one kind", Fate.OPEN
                )
            continue
        placed.append((name, group))
        _place_group(draft, name, group)


def _alike(one: list[Piece], other: list[Piece]) -> bool:
    return len(one) == len(other) and all(a.same(b) for a, b in zip(one, other, strict=True))


def _distinct(draft: Draft, name: str, group: list[Piece]) -> list[Piece]:
    """Return the deployments of a name; a repeated one is folded."""
    kept: list[Piece] = []
    for piece in group:
        if any(piece.same(other) for other in kept):
            fold(draft, [piece], name)
        else:
            kept.append(piece)
    return kept


def _place_group(draft: Draft, name: str, group: list[Piece]) -> None:
    key = ("models", name)
    if len(group) == 1:
        [piece] = group
        if "weight" in piece.data:
            del piece.data["weight"]
            piece.parts = [
                Part(part.node, (), Fate.LEFT_OUT, "a single deployment has no weight")
                if part.suffix == ("weight",)
                else part
                for part in piece.parts
            ]
        draft.put(key, {**ordered(piece.data), **piece.model})
        settle(draft, piece, key, key)
    else:
        shared = group[0].model
        draft.put(key, {"deployments": [ordered(piece.data) for piece in group], **shared})
        for at, piece in enumerate(group):
            if piece.model != shared:
                reason = "what all deployments share is that of the first one"
                piece.parts = [
                    Part(part.node, (), Fate.LEFT_OUT, reason)
                    if part.suffix[:1] in (("model_info",), ("price",))
                    else part
                    for part in piece.parts
                ]
            settle(draft, piece, (*key, "deployments", at), key)
    if rate := limits(group):
        draft.put(("gateway", "limits", "models", name), rate)


def place_alias(draft: Draft, alias: str, name: str, piece: Piece) -> None:
    if alias in draft.get("models"):
        fold(draft, [piece], name)
        return
    if alias not in draft.data.get("aliases", {}):
        draft.put(("aliases", alias), name)
    named = piece.entry.get("model_name")
    if named is not None and not draft.ledger.has(named):
        draft.settle(named, ("aliases", alias), f"another name of models.{name}")
    fold(draft, [piece], name)
