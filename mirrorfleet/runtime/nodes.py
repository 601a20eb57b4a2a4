"""Nodes that serve a model together: none of them changes without the others."""

from __future__ import annotations

from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.problems import skip


def skip_together() -> None:
    """Skip the engines of the other nodes too, where one node's are skipped."""
    for each in run.hosts():
        plan = run.plan_of(each)
        if not skipped.skips(plan, "engines"):
            continue
        for engine in plan.engines:
            models = ", ".join(engine.windows)
            for other in run.hosts():
                other_plan = run.plan_of(other)
                if other_plan.name in engine.peers and not skipped.skips(other_plan, "engines"):
                    mistake = f"'{models}' also runs on {each.name}, which is skipped."
                    skipped.skip(other, skip(mistake, part="engines"))
