"""Render the plan of a gateway as LiteLLM's config.yaml, as plain data; without side effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mirrorfleet.config import Secret
from mirrorfleet.config.litellm import Guardrail
from mirrorfleet.config.web_search import WebSearch
from mirrorfleet.engines.known import ThinkingArguments
from mirrorfleet.planning import LitellmPlan, Route
from mirrorfleet.roles.litellm.references import references, resolved, variables

AFFINITY = {
    "session": "session_affinity",
    "prompt_caching": "prompt_caching",
    "key": "deployment_affinity",
}
"""The router's check that keeps a session, a prompt or a key on one deployment."""

UNTRANSLATED = ("speed",)
"""Parameters of clients that LiteLLM passes unchanged to other APIs."""


def configuration(gateway: LitellmPlan) -> dict[str, Any]:
    """Return config.yaml as plain data, with references to environment variables for secrets."""
    names, of_models = references(gateway), variables(gateway.routes)
    extra = resolved(dict(gateway.extra), names)
    sections: dict[str, Any] = {
        "litellm_settings": _litellm_settings(gateway),
        "router_settings": _router_settings(gateway),
        "general_settings": _general_settings(gateway, names),
    }
    config: dict[str, Any] = {
        "model_list": [
            _deployment(gateway, route, of_models, extra.get("models", {}).get(route.model, {}))
            for route in gateway.routes
        ],
        **{name: {**section, **extra.get(name, {})} for name, section in sections.items()},
    }
    if gateway.web_search:
        config["search_tools"] = [_search_tool(gateway.web_search, names)]
    if gateway.guardrails:
        config["guardrails"] = [_guardrail(guardrail, names) for guardrail in gateway.guardrails]
    return config


def _litellm_settings(gateway: LitellmPlan) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "request_timeout": gateway.timeout,
        "json_logs": gateway.logging.json,
        "telemetry": False,
        "sse_keepalive_ping_interval_seconds": gateway.ping_seconds,
    }
    callbacks = [*(["prometheus"] if gateway.metrics else []), *gateway.callbacks]
    if gateway.web_search:
        callbacks.append("mirrorfleet_web_search.interception")
    if callbacks:
        settings["callbacks"] = callbacks
    if gateway.forward_client_headers:
        settings["model_group_settings"] = {
            "forward_client_headers_to_llm_api": list(gateway.forward_client_headers)
        }
    return settings


def _router_settings(gateway: LitellmPlan) -> dict[str, Any]:
    routing = gateway.routing
    checks = [AFFINITY[routing.affinity]] if routing.affinity else []
    if gateway.limits.models:
        # Without it, the router only prefers deployments below their rates, and enforces none.
        checks.append("enforce_model_rate_limits")
    return {
        "routing_strategy": routing.strategy,
        "model_group_alias": dict(gateway.aliases),
        "fallbacks": _fallbacks(gateway.fallbacks),
        "context_window_fallbacks": _fallbacks(gateway.context_window_fallbacks),
        "num_retries": gateway.retries,
        "disable_cooldowns": not gateway.cooldowns,
        **_without_none(
            content_policy_fallbacks=_fallbacks(gateway.content_policy_fallbacks) or None,
            cooldown_time=routing.cooldown_time or None,
            allowed_fails=routing.allowed_fails,
            optional_pre_call_checks=checks or None,
        ),
    }


def _general_settings(gateway: LitellmPlan, names: dict[Secret, str]) -> dict[str, Any]:
    limits, redis = gateway.limits, gateway.redis
    settings: dict[str, Any] = {
        "master_key": "os.environ/LITELLM_MASTER_KEY",
        "custom_auth": "mirrorfleet_auth.authenticate",
        "disable_spend_logs": not (gateway.database and gateway.database.spend_logs),
        **_without_none(
            cancel_on_disconnect=gateway.cancel_on_disconnect or None,
            pass_through_request_timeout=gateway.timeout if gateway.passthrough else None,
            max_in_flight_requests_per_worker=limits.max_in_flight_requests_per_worker,
            max_queued_requests_per_worker=limits.max_queued_requests_per_worker,
            database_connection_pool_limit=gateway.database
            and gateway.database.connection_pool_limit,
        ),
    }
    if redis:
        # One block for everything: the router's rates, affinity and cooldowns, and the proxy's own.
        settings["coordination_redis"] = {
            "host": redis.host,
            "port": redis.port,
            **_without_none(
                username=redis.username,
                password=resolved(redis.password, names),
                ssl=redis.ssl or None,
            ),
        }
    return settings


def _search_tool(search: WebSearch, names: dict[Secret, str]) -> dict[str, Any]:
    return {
        "search_tool_name": "mirrorfleet",
        "litellm_params": {
            "search_provider": search.service,
            **_without_none(api_base=search.url, api_key=resolved(search.key, names)),
        },
    }


def _guardrail(guardrail: Guardrail, names: dict[Secret, str]) -> dict[str, Any]:
    return {
        "guardrail_name": guardrail.name,
        "litellm_params": {
            "guardrail": guardrail.guardrail,
            "mode": list(guardrail.mode),
            # Claude Code never requests a guardrail.
            "default_on": True,
            **resolved(dict(guardrail.parameters), names),
        },
    }


def _fallbacks(names: Mapping[str, tuple[str, ...]]) -> list[dict[str, list[str]]]:
    return [{name: list(others)} for name, others in names.items()]


def _deployment(
    gateway: LitellmPlan,
    route: Route,
    variables: Mapping[tuple[str, str], str],
    extra: dict[str, Any],
) -> dict[str, Any]:
    parameters: dict[str, Any] = {"model": route.upstream, **route.settings}
    for name in route.secrets:
        parameters[name] = f"os.environ/{variables[route.model, name]}"
    if "api_base" in route.settings and not route.secrets:
        # LiteLLM requires a key for every server, also for one that checks none.
        parameters["api_key"] = "none"
    if route.bearer:
        authorization = f"os.environ/{variables[route.model, 'bearer']}"
        parameters["extra_headers"] = {"Authorization": authorization}
    if route.drop_params:
        # Without it, `thinking` or `speed` causes a 400 from a model that does not support it.
        parameters["drop_params"] = True
    if route.drop_params and not route.upstream.startswith("anthropic/"):
        # A translated request would keep it, and a strict server rejects unknown parameters.
        others = extra.get("additional_drop_params", [])
        extra = {**extra, "additional_drop_params": list(dict.fromkeys([*UNTRANSLATED, *others]))}
    # A setting of the whole router has no effect on /v1/messages.
    parameters |= _without_none(stream_timeout=gateway.stream_timeout)
    if rate := gateway.limits.models.get(route.model):
        parameters |= _without_none(rpm=rate.rpm, tpm=rate.tpm)
    information: dict[str, Any] = {
        "max_input_tokens": route.context - route.output,
        "max_output_tokens": route.output,
    }
    if route.base_model:
        information["base_model"] = route.base_model
    if route.adaptive_thinking:
        # Without supports_reasoning: with it, LiteLLM turns "disabled" into a thinking budget.
        information["supports_adaptive_thinking"] = True
    if route.thinking_arguments:
        information["mirrorfleet_thinking"] = thinking_information(route.thinking_arguments)
    if not route.is_claude:
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
    if gateway.routing.allowed_fails is None and _has_another(gateway, route):
        # A failed deployment gets a cooldown at once, so that the retry goes to another one. Only
        # here: the single deployment of a model must have no cooldown.
        information["allowed_fails"] = 0
    return {
        "model_name": route.model,
        "litellm_params": {**parameters, **extra},
        "model_info": information,
    }


def thinking_information(arguments: ThinkingArguments) -> dict[str, Any]:
    """Return what mirrorfleet_thinking.py reads."""
    return {**asdict(arguments), "efforts": list(arguments.efforts)}


def _has_another(gateway: LitellmPlan, route: Route) -> bool:
    return sum(other.model == route.model for other in gateway.routes) > 1


def _without_none(**settings: Any) -> dict[str, Any]:
    """Return the settings with a value; LiteLLM has defaults for the others."""
    return {name: value for name, value in settings.items() if value is not None}
