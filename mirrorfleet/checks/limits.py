"""Limits of developers' turns that several processes would count separately."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway is None or gateway.redis or gateway.processes < 2:
        return
    turns = gateway.limits.turns
    names = ("fleet", "per_person", "people", "per_group", "groups")
    keys: list[Key] = [(name,) for name in names if getattr(turns, name)]
    # `rpm` and `tpm` of models have the same problem, and their own check.
    keys += [("models", name) for name in turns.models if not gateway.limits.models]
    for key in keys[:1]:  # one cause: it is reported once
        yield fleet.document.problem(
            ("gateway", "limits", *key),
            f"would apply to each of {gateway.processes} or more processes separately.",
            "Add gateway.redis, so that they share their counts.",
            given=(("gateway", "redis"), ("gateway", "workers")),
        )
