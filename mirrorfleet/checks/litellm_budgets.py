"""Budgets in LiteLLM's own settings that have no effect, or not the intended one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.checks.known_names import known_names
from mirrorfleet.config import Fleet, Gateway
from mirrorfleet.config.problems import Key, Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    if gateway := fleet.gateway:
        for section in ("litellm_settings", "general_settings"):
            for name, value in gateway.extra.get(section, {}).items():
                if _is_budget(name, value) and name in (known_names(fleet, section) or ()):
                    key: Key = ("gateway", "extra", section, name)
                    yield from _of_keys(fleet, gateway, key)
        for key in _of_deployments(gateway):
            yield from _shared(fleet, gateway, key)


def _is_budget(name: str, value: Any) -> bool:
    return "budget" in name or (isinstance(value, dict) and "max_budget" in value)


def _of_keys(fleet: Fleet, gateway: Gateway, key: Key) -> Iterator[Problem]:
    if not gateway.database:
        yield fleet.document.problem(
            key,
            "has no effect without a database, because LiteLLM stores spend there.",
            "Add gateway.database, or remove it.",
            given=(("gateway", "database"),),
        )
    elif key[-1] == "max_budget":
        yield fleet.document.warning(
            key,
            "applies only to LiteLLM's own keys: developers' keys have no budget.",
            "See `mirrorfleet docs database`.",
        )


def _of_deployments(gateway: Gateway) -> Iterator[Key]:
    """Yield the keys of budgets that the router counts, per provider or per model."""
    if "provider_budget_config" in gateway.extra.get("router_settings", {}):
        yield ("gateway", "extra", "router_settings", "provider_budget_config")
    for model, parameters in gateway.extra.get("models", {}).items():
        if "max_budget" in parameters:
            yield ("gateway", "extra", "models", model, "max_budget")


def _shared(fleet: Fleet, gateway: Gateway, key: Key) -> Iterator[Problem]:
    if gateway.redis is None and gateway.processes > 1:
        yield fleet.document.problem(
            key,
            f"would apply to each of {gateway.processes} or more processes separately.",
            "Add gateway.redis, so that they share their counts.",
            given=(("gateway", "redis"), ("gateway", "workers")),
        )
