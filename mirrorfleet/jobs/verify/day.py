"""Pure: what is known of each model behind the gateways, for the requests of a day."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from mirrorfleet.jobs.verify import day_turns
from mirrorfleet.planning import LitellmPlan, Route

FOREIGN = {
    "haiku": "claude-haiku-4-5-20251001",
    "sonnet": "claude-sonnet-4-5-20250929",
    "opus": "claude-opus-4-1-20250805",
    "fable": "claude-fable-5-0",
}
"""An id of another release for each tier, as agents' files have them."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Day:
    """What is known of a model behind the gateways.

    ``foreign``: an id of another release that the model answers, "" without one. ``searches``: who
    runs a web search. ``replicas``: its deployments. ``is_managed``: the fleet starts its engines.
    ``fallbacks``: the models that answer in its place, if they are asked too; ``None`` if not.
    """

    model: str
    tools: bool
    vision: bool
    documents: bool
    thinking: str
    efforts: tuple[str, ...]
    is_claude: bool
    searches: str
    foreign: str
    replicas: int
    is_managed: bool
    fallbacks: tuple[str, ...] | None = None

    @property
    def thinks(self) -> bool:
        return self.thinking != "none"


def day(
    gateway: LitellmPlan | None, group: str, model: str, *, with_fallbacks: bool = False
) -> Day | None:
    """Return what is known of a model of a group; ``None`` if no gateway has it."""
    routes = [route for route in gateway.routes if _serves(route, model)] if gateway else []
    if gateway is None or not routes:
        return None
    tiers = gateway.group_tiers.get(group, gateway.tiers)
    ids = (foreign for tier, foreign in FOREIGN.items() if tiers.get(tier) == model)
    abilities = routes[0].abilities
    return Day(
        model=model,
        tools=abilities.tools,
        vision=abilities.vision,
        documents=abilities.documents,
        thinking=abilities.thinking.mode,
        efforts=abilities.thinking.efforts,
        is_claude=all(route.is_claude for route in routes),
        searches=routes[0].web_search or "",
        foreign=next(ids, ""),
        replicas=len(routes),
        is_managed=all(route.engine and not route.running for route in routes),
        fallbacks=_fallbacks(gateway, group, model) if with_fallbacks else None,
    )


def _fallbacks(gateway: LitellmPlan, group: str, model: str) -> tuple[str, ...]:
    """Return the fallbacks of a model that all keys of a group allow."""
    keys = [set(key.models) for key in gateway.keys if key.group == group and key.models]
    found = (*gateway.fallbacks.get(model, ()), *gateway.context_window_fallbacks.get(model, ()))
    return tuple(name for name in dict.fromkeys(found) if all(name in key for key in keys))


def _serves(route: Route, model: str) -> bool:
    return route.model == model or ("*" in route.model and fnmatchcase(model, route.model))


PASTED = json.dumps(day_turns.pasted())
"""The message with which an editor gives a screenshot and a PDF to the client."""
