"""Render one deployment of a model, an entry of `model_list` in LiteLLM's config.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mirrorfleet.config import Secret
from mirrorfleet.config.price import MILLION, Price
from mirrorfleet.engines.known import ThinkingArguments
from mirrorfleet.planning import LitellmPlan, Route
from mirrorfleet.roles.litellm.references import Place

UNTRANSLATED = ("speed",)
"""Parameters of clients that LiteLLM passes unchanged to other APIs."""


def deployment(
    gateway: LitellmPlan,
    route: Route,
    variables: Mapping[Place, str],
    extra: dict[str, Any],
    information: dict[str, Any],
) -> dict[str, Any]:
    """Return the deployment of a route.

    ``variables`` has the environment variable of each secret. ``extra`` and ``information`` are the
    user's own parameters and `model_info`.
    """
    parameters: dict[str, Any] = {"model": route.upstream, **route.settings}
    for name in route.secrets:
        parameters[name] = f"os.environ/{variables[route.model, route.number, name]}"
    has_login = any(isinstance(value, Secret) for value in route.parameters.values())
    if (
        "api_base" in {**route.settings, **route.secrets}
        and not route.secrets.keys() - {"api_base"}
        and not has_login
    ):
        # LiteLLM requires a key for every server, also for one that checks none.
        parameters["api_key"] = "none"
    if route.bearer:
        authorization = f"os.environ/{variables[route.model, route.number, 'bearer']}"
        parameters["extra_headers"] = {"Authorization": authorization}
    if route.drop_params:
        # Without it, `thinking` or `speed` causes a 400 from a model that does not support it.
        parameters["drop_params"] = True
    if route.drop_params and route.context and not route.upstream.startswith("anthropic/"):
        # A translated request would keep it, and a strict server rejects unknown parameters.
        others = extra.get("additional_drop_params", [])
        extra = {**extra, "additional_drop_params": list(dict.fromkeys([*UNTRANSLATED, *others]))}
    # A setting of the whole router has no effect on /v1/messages.
    parameters |= without_none(
        timeout=route.timeout,
        stream_timeout=route.stream_timeout or (None if route.timeout else gateway.stream_timeout),
        num_retries=route.retries,
        weight=route.weight,
    )
    if rate := gateway.limits.models.get(route.model):
        parameters |= without_none(rpm=rate.rpm, tpm=rate.tpm)
    information = dict(information)
    if route.mode:
        information.setdefault("mode", route.mode)
    if route.context:
        information["max_input_tokens"] = route.context - route.output
        if not route.mode:
            information["max_output_tokens"] = route.output
    if route.base_model:
        information["base_model"] = route.base_model
    if route.adaptive_thinking:
        # Without supports_reasoning: with it, LiteLLM turns "disabled" into a thinking budget.
        information["supports_adaptive_thinking"] = True
    if route.thinking_arguments:
        information["mirrorfleet_thinking"] = thinking_information(route.thinking_arguments)
    if route.context and not route.is_claude:
        information["supports_vision"] = route.abilities.vision
        # What mirrorfleet's hook keeps of a request for this deployment.
        abilities = route.abilities
        information["mirrorfleet_abilities"] = {
            "vision": abilities.vision,
            "documents": abilities.documents,
            "tools": abilities.tools,
        }
    if route.engine is not None:
        # What mirrorfleet_mends.py changes for this engine.
        information["mirrorfleet_mends"] = list(route.mends)
    if route.checked_weights:
        # The limit that mirrorfleet_ollama.py enforces, and the identity of its token counts.
        information |= {
            "mirrorfleet_window": route.context,
            "mirrorfleet_weights": route.checked_weights,
        }
    if route.web_search == "gateway":
        information["mirrorfleet_web_search"] = True
    if gateway.usage:
        information["mirrorfleet_deployment"] = route.deployment
    if route.price:
        information |= _prices(route.price)
    if gateway.routing.allowed_fails is None and _has_another(gateway, route):
        # A failed deployment gets a cooldown at once, so that the retry goes to another one. Only
        # here: the single deployment of a model must have no cooldown.
        information["allowed_fails"] = 0
    return {
        "model_name": route.model,
        "litellm_params": {**parameters, **extra},
        "model_info": information,
    }


def _prices(price: Price) -> dict[str, float]:
    """Return a price per million tokens by LiteLLM's names, per token."""
    return {
        "input_cost_per_token": price.input / MILLION,
        "output_cost_per_token": price.output / MILLION,
        "cache_read_input_token_cost": price.cache_read / MILLION,
        "cache_creation_input_token_cost": price.cache_write / MILLION,
    }


def thinking_information(arguments: ThinkingArguments) -> dict[str, Any]:
    """Return what mirrorfleet_thinking.py reads."""
    return {**asdict(arguments), "efforts": list(arguments.efforts)}


def _has_another(gateway: LitellmPlan, route: Route) -> bool:
    return sum(other.model == route.model for other in gateway.routes) > 1


def without_none(**settings: Any) -> dict[str, Any]:
    """Return the settings with a value; LiteLLM has defaults for the others."""
    return {name: value for name, value in settings.items() if value is not None}
