"""Echo, an engine for tests only: it answers with the last words of a prompt.

Everything that an engine is stands here, one file for each layer, as mirrorfleet/ has them for vLLM
and Ollama: model (config), engine (engines), check (checks), plan (planning), role (roles).
"""

from __future__ import annotations

from mirrorfleet.own_engines import OwnEngine
from mirrorfleet.planning.engines import Planner
from tests.engines.echo import check, plan
from tests.engines.echo.engine import Echo
from tests.engines.echo.model import SCHEMA

ECHO = OwnEngine(
    engine=Echo(), schema=SCHEMA, planner=Planner(plan.plans, plan.rules), check=check.problems
)
