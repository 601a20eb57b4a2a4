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
            for other in run.inventory:
                plan = other.data.plan
                if plan.name in engine.partners and not undone.skips(plan, "engines"):
                    models = ", ".join(engine.windows)
                    why = f"serves '{models}' together with {each.name}, which is skipped"
                    undone.skip(other, why, "engines")
