"""Nodes that serve a model together: they change together or not at all."""

from __future__ import annotations

from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.problems import skip


def skip_together() -> None:
    """Skip the engines of all nodes of a model if the run skips those of one node."""
    for host in run.hosts():
        plan = run.plan_of(host)
        if not skipped.is_skipped(plan, "engines"):
            continue
        for engine in plan.engines:
            models = ", ".join(engine.windows)
            for other in run.hosts():
                other_plan = run.plan_of(other)
                if other_plan.name in engine.peers and not skipped.is_skipped(
                    other_plan, "engines"
                ):
                    mistake = f"'{models}' also runs on {host.name}, which is skipped."
                    skipped.skip(other, skip(mistake, part="engines"))
