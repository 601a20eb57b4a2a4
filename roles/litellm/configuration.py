"""Render the plan of a gateway as LiteLLM's config.yaml, as plain data; without side effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mirrorfleet.config import Secret
from mirrorfleet.config.litellm import Guardrail
from mirrorfleet.config.mcp import McpServer
from mirrorfleet.config.web_search import WebSearch
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm.deployments import deployment, without_none
from mirrorfleet.roles.litellm.references import references, resolved, variables

AFFINITY = {
    "session": "session_affinity",
    "prompt_caching": "prompt_caching",
    "key": "deployment_affinity",
}
"""The router's check that keeps a session, a prompt or a key on one deployment."""


def configuration(gateway: LitellmPlan) -> dict[str, Any]:
    """Return config.yaml as plain data, with references to environment variables for secrets."""
    names, of_models = references(gateway), variables(gateway.routes)
    extra = resolved(dict(gateway.extra), names)
    sections: dict[str, Any] = {
        "litellm_settings": {**_litellm_settings(gateway), **_cache(gateway, names)},
        "router_settings": _router_settings(gateway),
        "general_settings": _general_settings(gateway, names),
    }
    config: dict[str, Any] = {
        "model_list": [
            deployment(
                gateway,
                route,
                of_models,
                {
                    **extra.get("models", {}).get(route.model, {}),
                    **resolved(dict(route.parameters), names),
                },
                resolved(dict(route.information), names),
            )
            for route in gateway.routes
        ],
        **{name: {**section, **extra.get(name, {})} for name, section in sections.items()},
    }
    if gateway.web_search:
        config["search_tools"] = [_search_tool(gateway.web_search, names)]
    if gateway.mcp_servers:
        config["mcp_servers"] = {
            server.name: _mcp_server(server, names) for server in gateway.mcp_servers
        }
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


CACHED = ("aembedding", "embedding", "atranscription", "transcription", "arerank", "rerank")
"""LiteLLM's calls whose answers depend on nothing but the request."""


def _cache(gateway: LitellmPlan, names: dict[Secret, str]) -> dict[str, Any]:
    """Return the settings of the cache, which never answers a turn of Claude Code.

    Calls of conversations are not cached: a turn of /v1/messages to a translated provider is one of
    them inside LiteLLM, and it would be answered again, tool calls included.
    """
    cache, redis = gateway.cache, gateway.redis
    if cache is None:
        return {}
    parameters: dict[str, Any] = {
        "type": "redis" if cache.store == "redis" else "local",
        "ttl": cache.ttl,
        "supported_call_types": list(CACHED),
    }
    if cache.store == "redis" and redis:
        parameters |= {"host": redis.host, "port": redis.port}
        parameters |= without_none(
            username=redis.username,
            password=resolved(redis.password, names),
            ssl=redis.ssl or None,
        )
    return {"cache": True, "cache_params": parameters}


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
        **without_none(
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
        **without_none(
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
            **without_none(
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
            **without_none(api_base=search.url, api_key=resolved(search.key, names)),
        },
    }


def _mcp_server(server: McpServer, names: dict[Secret, str]) -> dict[str, Any]:
    return {
        # The name, so that permissions can name the server.
        "server_id": server.name,
        "url": server.url,
        "transport": server.transport,
        "auth_type": "bearer_token" if server.key else "none",
        **without_none(
            auth_value=resolved(server.key, names),
            static_headers=resolved(dict(server.headers), names) or None,
            allowed_tools=list(server.tools) or None,
        ),
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
