"""Checks of a fleet file: values that fit the schema and still cannot work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

from mirrorfleet.checks import (
    abilities,
    advisories,
    aliases,
    budgets,
    cache,
    calls,
    claude,
    claude_files,
    database,
    deployments,
    developers,
    exposure,
    external_gateway,
    firewall,
    gateway,
    gpus,
    hosts,
    hub,
    keys,
    limits,
    litellm,
    litellm_budgets,
    load_balancer,
    local,
    mcp,
    model_info,
    model_names,
    models,
    modules,
    names,
    ollama,
    paths,
    pooling,
    providers,
    redis,
    releases,
    rollout,
    running,
    runtime,
    scopes,
    secrets,
    tools,
    usage,
    vllm,
    web_search,
    wildcards,
    windows,
)
from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem

Check = Callable[[Fleet], Iterator[Problem]]

CHECKS: list[Check] = [
    names.problems,
    hosts.problems,
    local.problems,
    hub.problems,
    models.problems,
    pooling.problems,
    abilities.problems,
    running.problems,
    providers.problems,
    deployments.problems,
    model_info.problems,
    model_names.problems,
    wildcards.problems,
    calls.problems,
    gpus.problems,
    paths.problems,
    advisories.accepted_names,
    releases.problems,
    vllm.problems,
    ollama.problems,
    gateway.problems,
    external_gateway.problems,
    runtime.problems,
    load_balancer.problems,
    litellm.problems,
    modules.problems,
    web_search.problems,
    mcp.problems,
    litellm_budgets.problems,
    limits.problems,
    budgets.problems,
    redis.problems,
    cache.problems,
    database.problems,
    exposure.problems,
    firewall.problems,
    aliases.problems,
    developers.problems,
    windows.problems,
    secrets.problems,
    claude.problems,
    claude_files.problems,
    scopes.problems,
    rollout.problems,
    tools.problems,
    usage.problems,
]


def problems(fleet: Fleet, today: date) -> Iterator[Problem]:
    """Yield the problems of a fleet that fits the schema, as of the date ``today``.

    Values that do not fit the schema were removed before, so names may refer to nothing. Only
    ``names`` reports them; the other checks ignore them.
    """
    for check in CHECKS:
        yield from check(fleet)
    yield from keys.problems(fleet, today)
