"""What a developer's request may hold: fields of the body, headers and query parameters."""

from __future__ import annotations

PROBES = frozenset({"/health/liveliness", "/health/liveness", "/health/readiness"})
"""Paths that load balancers and monitoring read without a key, by one of PROBE_METHODS."""

PROBE_METHODS = ("GET", "HEAD", "OPTIONS")

MODELS = "/v1/models"

USAGE = "/mirrorfleet/usage"
"""What the holder of a key has used: mirrorfleet_own_usage.py."""

LISTS = (MODELS, USAGE)
"""Paths that a developer reads by GET."""

KEY, REQUESTED = "mirrorfleet_key", "mirrorfleet_model"
"""What mirrorfleet_requests.py adds to the scope of a developer's request: its key, and the
requested model of a turn or a token count."""

PASSTHROUGH = "/anthropic/"

LIMIT = 32 * 1024**2
"""Maximum size of a body in bytes: Anthropic's own limit."""

FIELDS = frozenset(
    {
        *("model", "messages", "max_tokens", "system", "stream", "stop_sequences", "metadata"),
        *("temperature", "top_k", "top_p", "thinking", "tools", "tool_choice", "output_config"),
        *("output_format", "context_management", "compaction", "container", "mcp_servers"),
        *("service_tier", "speed", "inference_geo", "cache_control", "diagnostics", "thread"),
        *("safeguards", "reasoning_effort"),
    }
)
"""The fields of a turn or a token count that pass: those of Anthropic's Messages API."""

REFUSED = frozenset(
    {
        *("api_base", "base_url", "api_key", "api_version", "custom_body", "query_params"),
        *("extra_body", "extra_headers", "extra_query", "headers", "user_config", "model_list"),
        *("fallbacks", "context_window_fallbacks", "mock_response", "custom_llm_provider"),
        *("litellm_params", "litellm_metadata", "proxy_server_request", "guardrails", "tags"),
        *("vertex_credentials", "aws_role_name", "aws_bedrock_runtime_endpoint", "azure_ad_token"),
    }
)
"""LiteLLM's parameters that select another server or account.

They would not pass in any case; refusing them reports the attempt.
"""

METADATA = frozenset({"user_id"})

QUERY = frozenset({"beta", "limit", "before_id", "after_id"})

CREDENTIALS = (
    *(b"x-litellm-api-key", b"authorization", b"api-key", b"x-api-key", b"x-goog-api-key"),
    b"ocp-apim-subscription-key",
)
"""Headers in which LiteLLM looks for a key, in its order. It gets only the first, as a bearer."""

HEADERS = frozenset(
    {
        *(b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection"),
        *(b"host", b"traceparent", b"tracestate", b"user-agent"),
        *(b"mcp-protocol-version", b"mcp-session-id"),
    }
)
"""Headers that pass, besides those with an allowed prefix and without a refused one."""

ALLOWED_PREFIXES = (b"anthropic-", b"x-")
REFUSED_PREFIXES = (b"x-litellm-", b"x-pass-", b"x-mcp-", b"x-goog-", b"x-amz-", b"x-api-key")
