"""Engines that already run, as a gateway's host sees them: reachable, and what they are asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mirrorfleet.config.problems import Problem
from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.planning import LitellmPlan, Route
from mirrorfleet.planning.running import RunningPlan
from mirrorfleet.roles import proof
from mirrorfleet.roles.litellm.references import variables
from mirrorfleet.roles.proof import remedies
from mirrorfleet.runtime.facts.network import Unreached
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import warning
from mirrorfleet.runtime.shell import shell

FILES = Path(__file__).parent / "files"
SCRIPT = "running_engines.py"
LIST = "running.json"

POOLING = {"embed": "/v1/embeddings", "rerank": "/v1/rerank"}
"""The path of each task of a pooling model."""

BOUNDS = {"tries": 2, "room": 1024, "forces": False}
"""Bounds of a session with an engine that serves others meanwhile."""

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def routes(gateway: LitellmPlan) -> Iterator[tuple[Route, RunningPlan]]:
    """Yield the routes of a gateway to engines that already run."""
    return ((route, route.running) for route in gateway.routes if route.running)


def facts(gateway: LitellmPlan) -> list[Unreached]:
    """Return whether each engine is unreached. A gateway behind a proxy needs no way to it."""
    if has_proxy(gateway):
        return []
    return list(dict.fromkeys(way(plan.url) for _, plan in routes(gateway)))


def has_proxy(gateway: LitellmPlan) -> bool:
    """Return whether a gateway reaches other servers through a proxy."""
    return any(name.upper() in PROXIES for name in gateway.environment)


def way(url: str) -> Unreached:
    """Return the fact whether the server of a URL is unreached."""
    parts = urlsplit(url)
    return Unreached(f"{parts.hostname} {parts.port or (443 if parts.scheme == 'https' else 80)}")


def unreached(gateway: LitellmPlan, observed: Observation) -> Mapping[str, str]:
    """Return the engines that a gateway's host does not reach: LiteLLM's api_base by route, and
    the URL in the fleet file."""
    ways = {fact for fact in facts(gateway) if observed[fact]}
    return {
        route.settings["api_base"]: plan.url
        for route, plan in routes(gateway)
        if way(plan.url) in ways
    }


def problems(gateway: LitellmPlan, observed: Observation) -> Iterator[Problem]:
    """Yield a warning for each engine that the host does not reach."""
    for url in dict.fromkeys(unreached(gateway, observed).values()):
        names = [route.model for route, plan in routes(gateway) if plan.url == url]
        yield warning(
            f"no reply from {url} within 3 seconds, where {', '.join(map(repr, names))} is served.",
            f"Start the engine, and open its port to {gateway.listen}.",
        )


def files(gateway: LitellmPlan) -> dict[str, str]:
    """Return the files of a generation that ask the engines; none without such engines."""
    entries = [_entry(gateway, route, plan) for route, plan in routes(gateway)]
    if not entries:
        return {}
    script = proof.program(FILES / SCRIPT)
    return {LIST: json.dumps(entries, indent=1) + "\n", SCRIPT: script}


def hooks(gateway: LitellmPlan) -> str:
    """Return the shell functions that prove the engines; empty without such engines."""
    return shell(FILES / "running_hooks.sh") if any(routes(gateway)) else ""


def _entry(gateway: LitellmPlan, route: Route, plan: RunningPlan) -> dict[str, Any]:
    engine = ENGINES[route.engine or ""]
    is_native = engine.litellm_provider == "anthropic"
    path = "/v1/messages" if is_native else "/v1/chat/completions"
    entry: dict[str, Any] = {
        "model": route.model,
        "url": plan.url,
        "served_name": plan.served_name,
        "variable": variables(gateway.routes)[route.model, route.number, "api_key"]
        if route.secrets
        else "",
        "path": POOLING[plan.task] if plan.task else path,
        **({"task": plan.task} if plan.task else {}),
        "context": route.context,
        "output": route.output,
        "tools": plan.tools,
        "tools_fix": engine.tools_fix,
        "window_fix": engine.window_fix,
        "cuts": route.checked_weights is not None,
    }
    if is_native and not plan.task:
        [expected] = [each.proof for each in gateway.proofs if each.model == route.model]
        known = remedies.running(route.model, expected, engine)
        entry["session"] = {**remedies.expectations(expected, known), **BOUNDS}
    return entry
