"""The paths of a turn stand first among LiteLLM's routes.

LiteLLM has some 650, and its web framework tries one after the other: on the way to /v1/messages
that takes a quarter of the processor time of a request. LiteLLM means to have that path in front,
but its list is made for routes, and this one stands within a router. It also loads that router with
the first turn only, which then waits for it.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

TURNS = ("/v1/messages", "/v1/messages/count_tokens")


def install() -> None:
    """Put the routes of a turn before all others; the rest keeps its order."""
    from litellm.proxy.anthropic_endpoints.endpoints import router
    from litellm.proxy.proxy_server import app

    app.router.routes[:0] = [route for route in router.routes if route.path in TURNS]
