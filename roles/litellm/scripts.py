"""The programs of a gateway's generation, by what it serves."""

from __future__ import annotations

from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm.limits import limits_turns

SCRIPTS = (
    "mirrorfleet_allowlist.py",
    "mirrorfleet_auth.py",
    "mirrorfleet_body.py",
    "mirrorfleet_clients.py",
    "mirrorfleet_headers.py",
    "mirrorfleet_key_file.py",
    "mirrorfleet_names.py",
    "mirrorfleet_openai.py",
    "mirrorfleet_readiness.py",
    "mirrorfleet_requests.py",
    "mirrorfleet_routes.py",
    "mirrorfleet_worker_recycling.py",
    "mirrorfleet_workers.py",
    "check_config.py",
    "probe.py",
)

MENDS_SCRIPTS = (
    "mirrorfleet_content.py",
    "mirrorfleet_engine_client.py",
    "mirrorfleet_mends.py",
    "mirrorfleet_rejected_calls.py",
    "mirrorfleet_tool_schemas.py",
)
"""Additional programs of a gateway that mends requests."""

OLLAMA_SCRIPTS = (
    "mirrorfleet_chat.py",
    "mirrorfleet_token_counts.py",
    "mirrorfleet_ollama.py",
    "mirrorfleet_prompt_parts.py",
    "mirrorfleet_ollama_request.py",
    "mirrorfleet_token_estimate.py",
)
"""Additional programs of a gateway with engines that truncate prompts."""

THINKING_SCRIPT = "mirrorfleet_thinking.py"
"""The additional program of a gateway with models on vLLM that think."""

LIMITS_SCRIPTS = (
    "mirrorfleet_budgets.py",
    "mirrorfleet_fallback_budgets.py",
    "mirrorfleet_limits.py",
    "mirrorfleet_limits_file.py",
    "mirrorfleet_own_usage.py",
    "mirrorfleet_periods.py",
    "mirrorfleet_rates.py",
    "mirrorfleet_shared_redis.py",
    "mirrorfleet_spending.py",
    "mirrorfleet_totals.py",
)
"""Additional programs of a gateway with limits of turns or budgets."""

COUNTS_SCRIPT = "mirrorfleet_engine_counts.py"
"""The additional program of a gateway with engines that check a key."""

WEB_SEARCH_SCRIPT = "mirrorfleet_web_search.py"
"""The additional program of a gateway with a search service."""

USAGE_SCRIPTS = (
    "mirrorfleet_ledger.py",
    "mirrorfleet_usage.py",
    "mirrorfleet_usage_turn.py",
    "mirrorfleet_usage_writer.py",
)
"""Additional programs of a gateway that records turns."""


CERTIFICATES_SCRIPT = "mirrorfleet_certificates.py"
"""The additional program of a gateway with metrics behind a TLS server."""


def scripts(gateway: LitellmPlan) -> tuple[str, ...]:
    """Return the names of the programs that a gateway needs."""
    return (
        *SCRIPTS,
        *(MENDS_SCRIPTS if mends_requests(gateway) else ()),
        *(OLLAMA_SCRIPTS if checks_windows(gateway) else ()),
        *(LIMITS_SCRIPTS if limits_turns(gateway) else ()),
        *([THINKING_SCRIPT] if translates_thinking(gateway) else ()),
        *([COUNTS_SCRIPT] if counts_with_bearer(gateway) else ()),
        *([WEB_SEARCH_SCRIPT] if gateway.web_search else ()),
        *([CERTIFICATES_SCRIPT] if gateway.tls_servers else ()),
        *(USAGE_SCRIPTS if limits_turns(gateway) else ()),
    )


def mends_requests(gateway: LitellmPlan) -> bool:
    """Return whether the gateway serves models other than Claude."""
    return not all(route.is_claude for route in gateway.routes)


def checks_windows(gateway: LitellmPlan) -> bool:
    """Return whether the gateway serves models whose engine truncates prompts."""
    return any(route.checked_weights for route in gateway.routes)


def translates_thinking(gateway: LitellmPlan) -> bool:
    """Return whether the gateway serves models that get arguments of their chat template."""
    return any(route.thinking_arguments for route in gateway.routes)


def counts_with_bearer(gateway: LitellmPlan) -> bool:
    """Return whether the gateway serves engines that check a key, and count tokens."""
    return any(route.bearer and route.upstream.startswith("anthropic/") for route in gateway.routes)
