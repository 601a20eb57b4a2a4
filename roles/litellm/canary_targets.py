"""Pure: the canary of a gateway: the models of engines, asked through it."""

from __future__ import annotations

from typing import Any

from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.planning import LitellmPlan, Route, origin
from mirrorfleet.roles.litellm.paths import NAME, USER
from mirrorfleet.roles.proof.canary import target
from mirrorfleet.runtime.canary import Canary

SECONDS = 240
"""Maximum seconds of the canary. Load balancers wait until it is over."""


def canary_of(gateway: LitellmPlan) -> Canary | None:
    """Return the canary of a gateway; ``None`` without a model of an engine.

    A gateway that changes prompts breaks the prefix cache of engines. Providers are not asked:
    they cost money.
    """
    routes: dict[str, list[Route]] = {}
    for route in gateway.routes:
        if route.engine and not route.mode:
            routes.setdefault(route.model, []).append(route)
    if not routes:
        return None
    listen = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(gateway.listen, gateway.listen)
    return Canary(
        service=NAME,
        title="LiteLLM",
        url=origin(listen),
        port=gateway.port,
        user=USER,
        key="LITELLM_MASTER_KEY",
        seconds=SECONDS,
        targets=[_target(model, each) for model, each in routes.items()],
    )


def _target(model: str, routes: list[Route]) -> dict[str, Any]:
    first = routes[0]
    return target(
        model,
        first.context,
        tools=first.abilities.tools,
        engines=[_engine(route) for route in routes],
        # An engine elsewhere can have any number behind its URL: a loss is a warning then.
        replicas=len(routes) + any(route.engine == "external" for route in routes),
    )


def _engine(route: Route) -> str:
    """Return the URL of the engine of a route."""
    engine = ENGINES[route.engine or ""]
    return route.settings["api_base"].removesuffix(engine.api_path)
