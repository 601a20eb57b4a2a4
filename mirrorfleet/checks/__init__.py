"""The meaning of a fleet file: what fits the schema and still cannot work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

from mirrorfleet.checks import (
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
    """Yield every contradiction in a fleet whose shape is right, or has been made so.

    ``today`` is what the last days of keys are held against.

    What another problem took out of the fleet is not there for the checks to find: a name may lead
    to nothing, and that is for ``names`` alone to tell.
    """
    for check in CHECKS:
        yield from check(fleet)
    yield from keys.problems(fleet, today)
