"""Echo, an engine for tests only: it answers with the last message of a prompt.

It has one file for each layer, as vLLM and Ollama have in mirrorfleet/: model (config), engine
(engines), check (checks), plan (planning), role (roles).
"""

from __future__ import annotations

from mirrorfleet.own_engines import OwnEngine
from mirrorfleet.planning.engines import Planner
from tests.engines.echo import check, plan
from tests.engines.echo.engine import Echo
from tests.engines.echo.model import SCHEMA
from tests.engines.echo.role import EchoRole

ECHO = OwnEngine(
    engine=Echo(),
    schema=SCHEMA,
    planner=Planner(plan.plans, plan.rules),
    role=EchoRole(),
    check=check.problems,
)
