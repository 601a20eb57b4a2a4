"""Run Claude Code's WebSearch for models that cannot search themselves.

LiteLLM's interception has the model call an ordinary tool, searches, and asks the model again with
the results. It can be limited to providers only, but an engine of the fleet and Claude at Anthropic
are the same provider to LiteLLM, and Claude searches by itself. Therefore the limit here is a flag
of each deployment, `model_info.mirrorfleet_web_search`.

LiteLLM loads `interception` as a callback (`litellm_settings.callbacks`).
"""

from __future__ import annotations

from typing import Any

from litellm.integrations.websearch_interception.handler import WebSearchInterceptionLogger
from litellm.types.utils import LlmProviders
from mirrorfleet_auth import ring

TOOL = "mirrorfleet"
"""The name of the search service in config.yaml (`search_tools`)."""


class Interception(WebSearchInterceptionLogger):  # type: ignore[misc]
    """LiteLLM's interception, for deployments with the flag."""

    async def async_pre_call_deployment_hook(self, kwargs: Any, call_type: Any) -> Any:
        """Return the request of a deployment with the tool of LiteLLM, or None to keep it."""
        if not _is_searched(kwargs):
            return None
        return await super().async_pre_call_deployment_hook(kwargs, call_type)

    async def async_pre_request_hook(self, model: str, messages: Any, kwargs: Any) -> Any:
        """Return the request with the tool of LiteLLM, or None to keep it."""
        if not _is_searched(kwargs):
            return None
        return await super().async_pre_request_hook(model, messages, kwargs)

    async def try_short_circuit_search(self, *args: Any, **kwargs: Any) -> Any:
        """Return the results without asking a model whose API is translated, or None."""
        if not _is_searched(kwargs.get("kwargs")):
            return None
        return await super().try_short_circuit_search(*args, **kwargs)

    async def async_build_agentic_loop_plan(self, *args: Any, **kwargs: Any) -> Any:
        """Return the request with the results. The client forces the first answer to be a search;
        forced again, a model would search until the limit of LiteLLM, and never answer."""
        plan = await super().async_build_agentic_loop_plan(*args, **kwargs)
        if plan.request_patch:
            plan.request_patch.optional_params["tool_choice"] = {"type": "auto"}
        return plan

    async def _authorize_search_tool(self, search_tool: Any, kwargs: Any) -> None:
        """Allow the search to keys of the key files; LiteLLM would look for their team in a
        database, and refuse."""
        auth = self._get_user_api_key_auth_from_kwargs(kwargs)
        key = ring.find(auth.api_key)[0] if auth and auth.api_key else None
        if key is None:
            await super()._authorize_search_tool(search_tool=search_tool, kwargs=kwargs)


def _is_searched(kwargs: Any) -> bool:
    """Return whether the gateway searches for the deployment of a request."""
    information = (kwargs or {}).get("model_info") or {}
    return information.get("mirrorfleet_web_search") is True


interception = Interception(
    enabled_providers=[provider.value for provider in LlmProviders], search_tool_name=TOOL
)
