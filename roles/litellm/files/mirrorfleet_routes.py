"""Move the routes of turns to the front of LiteLLM's routes.

LiteLLM has about 650 routes, and its web framework tries them in order: up to /v1/messages, that
takes a quarter of the processor time of a request. LiteLLM's own list of preferred paths holds this
path without effect, because the route is inside a router. LiteLLM also loads that router at the
first turn, which then waits for it.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

TURNS = ("/v1/messages", "/v1/messages/count_tokens")


def install() -> None:
    """Move the routes of turns to the front; the others keep their order."""
    from litellm.proxy.anthropic_endpoints.endpoints import router
    from litellm.proxy.proxy_server import app

    app.router.routes[:0] = [route for route in router.routes if route.path in TURNS]
