"""Budgets in LiteLLM's own settings that nothing counts, or that count for others than is meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.checks.litellm import known_names
from mirrorfleet.config import Fleet, Gateway
from mirrorfleet.config.problems import Key, Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    if gateway := fleet.gateway:
        for section in ("litellm_settings", "general_settings"):
            for name, said in gateway.extra.get(section, {}).items():
                if _is_budget(name, said) and name in (known_names(fleet, section) or ()):
                    key: Key = ("gateway", "extra", section, name)
                    yield from _of_keys(fleet, gateway, key)
        for key in _of_deployments(gateway):
            yield from _shared(fleet, gateway, key)


def _is_budget(name: str, said: Any) -> bool:
    return "budget" in name or (isinstance(said, dict) and "max_budget" in said)


def _of_keys(fleet: Fleet, gateway: Gateway, key: Key) -> Iterator[Problem]:
    if not gateway.database:
        yield fleet.document.problem(
            key,
            "holds back nobody: LiteLLM counts money in a database.",
            "Add gateway.database, or remove it.",
            given=(("gateway", "database"),),
        )
    elif key[-1] == "max_budget":
        yield fleet.document.warning(
            key,
            "holds back LiteLLM's own keys alone: the keys of developers have no budget.",
            "`mirrorfleet docs database` describes budgets.",
        )


def _of_deployments(gateway: Gateway) -> Iterator[Key]:
    """Yield the budgets that the router keeps: of a provider, or of one model."""
    if "provider_budget_config" in gateway.extra.get("router_settings", {}):
        yield ("gateway", "extra", "router_settings", "provider_budget_config")
    for model, parameters in gateway.extra.get("models", {}).items():
        if "max_budget" in parameters:
            yield ("gateway", "extra", "models", model, "max_budget")


def _shared(fleet: Fleet, gateway: Gateway, key: Key) -> Iterator[Problem]:
    if gateway.redis is None and gateway.processes > 1:
        yield fleet.document.problem(
            key,
            f"would hold for each of {gateway.processes} processes or more by itself.",
            "Add gateway.redis, which they share.",
            given=(("gateway", "redis"), ("gateway", "workers")),
        )
