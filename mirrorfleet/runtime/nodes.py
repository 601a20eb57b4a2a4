"""Nodes that serve a model together: none of them changes without the others."""

from __future__ import annotations

from pyinfra.api import State

from mirrorfleet.runtime import undone


def skip_together(run: State) -> None:
    """Skip the engines of the other nodes too, where one node's are skipped."""
    for each in run.inventory:
        if not undone.skips(each.data.plan, "engines"):
            continue
        for engine in each.data.plan.engines:
            names = {member.name for member in engine.nodes.members} if engine.nodes else set()
            for other in run.inventory:
                if other.data.plan.name in names and not undone.skips(other.data.plan, "engines"):
                    why = f"serves '{engine.model}' together with {each.name}, which is skipped"
                    undone.skip(other, why, "engines")
