"""Checks of a fleet file: values that fit the schema and still cannot work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

from mirrorfleet.checks import (
    abilities,
    aliases,
    budgets,
    claude,
    database,
    developers,
    exposure,
    firewall,
    gateway,
    gpus,
    hosts,
    hub,
    keys,
    litellm,
    load_balancer,
    models,
    names,
    ollama,
    paths,
    providers,
    redis,
    releases,
    running,
    runtime,
    scopes,
    secrets,
    tools,
    vllm,
    web_search,
    windows,
)
from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem

Check = Callable[[Fleet], Iterator[Problem]]

CHECKS: list[Check] = [
    names.problems,
    hosts.problems,
    hub.problems,
    models.problems,
    abilities.problems,
    running.problems,
    providers.problems,
    gpus.problems,
    paths.problems,
    releases.problems,
    vllm.problems,
    ollama.problems,
    gateway.problems,
    runtime.problems,
    load_balancer.problems,
    litellm.problems,
    web_search.problems,
    budgets.problems,
    redis.problems,
    database.problems,
    exposure.problems,
    firewall.problems,
    aliases.problems,
    developers.problems,
    windows.problems,
    secrets.problems,
    claude.problems,
    scopes.problems,
    tools.problems,
]


def problems(fleet: Fleet, today: date) -> Iterator[Problem]:
    """Yield the problems of a fleet that fits the schema, as of the date ``today``.

    Values that do not fit the schema were removed before, so names may refer to nothing. Only
    ``names`` reports them; the other checks ignore them.
    """
    for check in CHECKS:
        yield from check(fleet)
    yield from keys.problems(fleet, today)
