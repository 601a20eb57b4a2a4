"""The plan of an engine that already runs: what a gateway's host asks it as a proof."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config import EngineModel
from mirrorfleet.engines.abilities import abilities
from mirrorfleet.planning.provenance import derived_from


@dataclass(frozen=True)
class RunningPlan:
    """An engine at ``url``, which is ready when it lists ``served_name``, and calls a tool if it
    has ``tools``."""

    url: str = derived_from("models.{model}.url")
    served_name: str = derived_from(
        "models.{model}.served_name", "models.{model}", reason="the name in this file, if unset"
    )
    tools: bool = derived_from("models.{model}", reason="whether the model calls tools")


def running(model: EngineModel) -> RunningPlan | None:
    """Return the plan of a model's running engine; ``None`` if Mirrorfleet installs the engine."""
    if model.url is None:
        return None
    return RunningPlan(model.url, model.name_at_engine, abilities(model).tools)
