"""Mend requests and answers of models that cannot take what Claude Code sends.

LiteLLM calls the hook for each chosen deployment, also for a fallback, and each gets the original
request: a fallback with vision still receives the image. `mirrorfleet_abilities` of a deployment's
model_info says what its model can read, `mirrorfleet_mends` what its engine needs.

1. New images and documents that the model cannot read: refused, or answered by the fallback of the
   fleet (mirrorfleet_content.py).
2. Everything else in the conversation that it cannot read: replaced (the same file).
3. Schemas of tools: rewritten for Ollama (mirrorfleet_tool_schemas.py).
4. Rejected tool calls, streams that are cut, empty answers: mirrorfleet_engine_client.py.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.types.utils import CallTypes
from prometheus_client import Counter

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files import mirrorfleet_content as content
    from mirrorfleet.roles.litellm.files import mirrorfleet_tool_schemas as tool_schemas
    from mirrorfleet.roles.litellm.files.mirrorfleet_engine_client import EngineClient
else:
    import mirrorfleet_content as content
    import mirrorfleet_tool_schemas as tool_schemas
    from mirrorfleet_engine_client import EngineClient

Json = dict[str, Any]

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own: the same level and JSON format

ABILITIES, MENDS = "mirrorfleet_abilities", "mirrorfleet_mends"

MENDED = Counter(
    "mirrorfleet_requests_mended", "Requests and answers that were changed", ["model", "kind"]
)

counted: list[Callable[[str, str], None]] = []
"""Functions that get the model and the kind of each mend, in the context of its request."""


class Mends(CustomLogger):  # type: ignore[misc]
    """The hook of LiteLLM."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: dict[tuple[str, bool], EngineClient] = {}
        self.logged: set[tuple[str, str]] = set()

    def count(self, model: str, kind: str) -> None:
        """Count a mend, and log the first one of its kind."""
        MENDED.labels(model, kind).inc()
        for function in counted:
            function(model, kind)
        if (model, kind) not in self.logged:
            self.logged.add((model, kind))
            log.error("mirrorfleet: mended for %s: %s (logged once per worker)", model, kind)

    async def async_pre_call_deployment_hook(
        self, kwargs: Json, call_type: CallTypes | None
    ) -> Json | None:
        """Return the parameters of a call for its deployment. Raises LiteLLM's exceptions."""
        info = kwargs.get("model_info") or {}
        if ABILITIES not in info or call_type != CallTypes.anthropic_messages:
            return None
        needs = info.get(MENDS) or ()
        model = _name(kwargs)
        able = content.abilities(model, info[ABILITIES], "image_urls" not in needs)
        if refused := content.refusal(kwargs["messages"], able):
            kind, text = refused
            self.count(model, kind)
            raise litellm.BadRequestError(text, model=model, llm_provider="anthropic")
        messages, kinds = content.mended(kwargs["messages"], able)
        found = {**kwargs, "messages": messages}
        if "tool_schemas" in needs and kwargs.get("tools"):
            found["tools"], changed = tool_schemas.mended(kwargs["tools"])
            kinds |= {"tool_schema"} if changed else set()
        for kind in sorted(kinds):
            self.count(model, kind)
        if str(kwargs["model"]).startswith("anthropic/"):  # others are translated
            found["client"] = self.client(model, "tool_calls" in needs)
        return found

    def client(self, model: str, mends_calls: bool) -> EngineClient:
        """Return the client for a model of an engine."""
        key = (model, mends_calls)
        if key not in self.clients:
            self.clients[key] = EngineClient(partial(self.count, model), mends_calls)
        return self.clients[key]


def _name(kwargs: Json) -> str:
    """Return the fleet's name of the model of a deployment."""
    metadata = kwargs.get("litellm_metadata") or kwargs.get("metadata") or {}
    return str(metadata.get("deployment_model_name") or kwargs["model"])


def install() -> None:
    """Mend the requests of this worker."""
    litellm.logging_callback_manager.add_litellm_callback(Mends())
