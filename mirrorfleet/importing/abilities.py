"""Abilities of models that Mirrorfleet's own configuration has, where a fleet derives others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mirrorfleet.importing.draft import Draft, boolean
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.proof import loaded
from mirrorfleet.planning.routes import Route, routes

SWITCHES = ("tools", "vision", "documents")


def restore(draft: Draft, entries: Iterable[Node], path: Path) -> None:
    """Write the keys of abilities that the fleet file at ``path`` needs to give the same entries.

    ``entries`` are those of Mirrorfleet's own model_list.
    """
    fleet = loaded(draft.data, path)
    found = {route.model: route for route in routes(fleet)} if fleet else {}
    for entry in entries:
        name, information = entry.get("model_name"), entry.get("model_info")
        route = found.get(name.text) if name else None
        if route is None or route.is_claude or information is None:
            continue
        model = draft.get("models", route.model)
        for key, value in _different(information, route):
            for each in model.get("deployments", [model]):
                each[key] = value


def _different(information: Node, route: Route) -> Iterator[tuple[str, Any]]:
    """Yield the keys of abilities in which an entry and a route differ."""
    for name in SWITCHES:
        node = information.get("mirrorfleet_abilities", name)
        if node and boolean(node) != getattr(route.abilities, name):
            yield name, boolean(node)
    if route.engine is None or route.mode:
        return
    node = information.get("mirrorfleet_thinking")
    before = node.plain if node else None
    now = route.thinking_arguments
    if before is None and route.adaptive_thinking and not information.get(ADAPTIVE):
        yield "thinking", False
    elif before is not None and before != (now and {**asdict(now), "efforts": list(now.efforts)}):
        keys = ("mode", "enabled", "disabled", "efforts")
        yield "thinking", {key: before[key] for key in keys if before.get(key)}


ADAPTIVE = "supports_adaptive_thinking"
"""What LiteLLM needs to know so that it passes thinking to an engine that has it."""
