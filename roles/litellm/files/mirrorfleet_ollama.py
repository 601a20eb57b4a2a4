"""Refuse prompts that Ollama would truncate.

Ollama answers 200 to a prompt that exceeds the context window of its model: it drops whole messages
from the front, and then the middle of what remains. The model then answers another question. So
this module checks each turn for a deployment with `mirrorfleet_window` in its model_info:

1. A turn that certainly fits passes. The engine has reported the token counts of the earlier turns
   of a conversation; new text has at most one token per byte.
2. For any other turn, Ollama is asked to render the prompt. If it would truncate it, the turn is
   refused with Anthropic's message. On that message clients compact the conversation, and LiteLLM
   uses the `context_window_fallbacks` of the model.
3. If Ollama does not answer, the estimate decides.

A small part of the window is reserved for the answer, and `max_tokens` is lowered to what remains:
when the window is full during an answer, Ollama drops the beginning of the prompt and continues.

The token count of every completed turn is stored, and improves the estimate. If a count is far
below its estimate, Ollama is asked again: if it truncated that prompt, the log and a metric report
it, and the estimate rises.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import litellm
from httpx import AsyncClient, HTTPError, Timeout, TimeoutException
from litellm.integrations.custom_logger import CustomLogger
from litellm.llms.base_llm.base_utils import BaseTokenCounter
from litellm.types.utils import CallTypes, TokenCountResponse
from prometheus_client import Counter

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_chat import as_turn
    from mirrorfleet.roles.litellm.files.mirrorfleet_ollama_request import render_request
    from mirrorfleet.roles.litellm.files.mirrorfleet_token_counts import Counts
    from mirrorfleet.roles.litellm.files.mirrorfleet_token_estimate import (
        Turn,
        estimated,
        learn,
        record,
    )
else:
    from mirrorfleet_chat import as_turn
    from mirrorfleet_ollama_request import render_request
    from mirrorfleet_token_counts import Counts
    from mirrorfleet_token_estimate import Turn, estimated, learn, record

Json = dict[str, Any]

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own: the same level and JSON format

WINDOW, WEIGHTS = "mirrorfleet_window", "mirrorfleet_weights"

CONNECT = 10
"""Seconds to wait for a connection to an engine."""

PENDING = 256
"""Maximum number of turns per worker that wait for their count; the oldest ones are dropped."""

REFUSED = Counter("mirrorfleet_prompts_refused", "Prompts that exceed the window", ["model"])
CUT = Counter("mirrorfleet_prompts_cut", "Prompts that the engine truncated", ["model"])
ASKED = Counter(
    "mirrorfleet_window_questions", "Render requests to Ollama by result", ["model", "answer"]
)


class Request:
    """A turn, and what a render request to its engine needs."""

    def __init__(self, turn: Turn, request: Json) -> None:
        self.turn = turn
        self.model = _model(request)
        self.url = f"{request.get('api_base')}/api/chat"
        self.headers: dict[str, str] = request.get("extra_headers") or {}
        self.body = {name: request.get(name) for name in ("system", "messages", "tools")}


class Windows(CustomLogger):  # type: ignore[misc]
    """Hooks of LiteLLM that check windows and count tokens."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self.counts = counts
        self.pending: OrderedDict[str, Request] = OrderedDict()
        self._client: AsyncClient | None = None

    def estimate(self, info: Json, request: Json) -> Turn:
        """Return the estimate of a turn for a deployment with this model_info."""
        window = info[WINDOW]
        weights = f"{_model(request)} {info.get(WEIGHTS)} {window}"
        return estimated(self.counts, weights, window, request)

    async def async_pre_call_deployment_hook(
        self, kwargs: Json, call_type: CallTypes | None
    ) -> Json | None:
        """Check a turn; LiteLLM calls this for each chosen deployment, also for a fallback.

        Returns the parameters of the call if they change. Raises LiteLLM's exceptions.
        """
        call = kwargs["litellm_call_id"]
        self.pending.pop(call, None)
        info = kwargs.get("model_info") or {}
        is_chat = call_type in (CallTypes.completion, CallTypes.acompletion)
        if WINDOW not in info or not (is_chat or call_type == CallTypes.anthropic_messages):
            return None
        asked = as_turn(kwargs) if is_chat else kwargs
        request = Request(self.estimate(info, asked), asked)
        turn = request.turn
        if turn.upper_bound > turn.limit:
            try:
                fits = await self.fits(request)
            except TimeoutException:
                # The turn itself would wait as long again. Another deployment may answer it.
                message = f"Ollama at {request.url} did not check the length of the prompt in time"
                raise litellm.Timeout(message, request.model, "anthropic") from None
            if fits is False or (fits is None and turn.estimate > turn.limit):
                raise _refusal(request)
        self.pending[call] = request
        if len(self.pending) > PENDING:
            self.pending.popitem(last=False)
        if (asked.get("max_tokens") or 0) > turn.room:
            # The two names of a chat for it would differ.
            kept = {name: kwargs[name] for name in kwargs if name != "max_completion_tokens"}
            return {**kept, "max_tokens": turn.room}
        return None

    async def fits(self, request: Request) -> bool | None:
        """Return whether the engine keeps the whole prompt; None without a usable answer.

        Raises ``TimeoutException``.
        """
        if self._client is None:
            # Without a proxy of this host, and with time for the engine to load the model.
            timeout = Timeout(litellm.request_timeout, connect=CONNECT)
            self._client = AsyncClient(trust_env=False, timeout=timeout)
        body, marker = render_request(request.model, request.body, request.turn.reserve)
        fits = None
        try:
            answer = await self._client.post(request.url, json=body, headers=request.headers)
            if answer.status_code == 200:
                fits = marker in answer.json()["_debug_info"]["rendered_template"]
        except TimeoutException:
            ASKED.labels(request.model, "none").inc()
            raise
        except (HTTPError, ValueError, KeyError, TypeError):
            pass
        result = {True: "fits", False: "too_long", None: "none"}[fits]
        ASKED.labels(request.model, result).inc()
        return fits

    async def async_log_success_event(
        self, kwargs: Json, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Store and learn from the token count of a completed turn."""
        request = self.pending.pop(kwargs.get("litellm_call_id", ""), None)
        tokens = _counted(response_obj)
        if request is None or not tokens:
            return
        turn = request.turn
        if turn.is_suspect(tokens) and not await self.did_fit(request):
            CUT.labels(request.model).inc()
            log.error(
                "mirrorfleet: Ollama cut a prompt of about %d tokens to %d: the window of %s is %d",
                *(turn.estimate, tokens, request.model, turn.window),
            )
            # It had more tokens than the window, even if the estimate was lower.
            learn(self.counts, turn, max(turn.window, turn.estimate))
            return
        record(self.counts, turn, tokens)

    async def did_fit(self, request: Request) -> bool:
        """Return whether the prompt of a completed turn fits the window."""
        try:
            return await self.fits(request) is True
        except TimeoutException:
            return False

    async def async_log_failure_event(
        self, kwargs: Json, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Forget a turn that failed."""
        self.pending.pop(kwargs.get("litellm_call_id", ""), None)


def _model(request: Json) -> str:
    """Return the engine's name of a model."""
    return str(request["model"]).removeprefix("anthropic/")


def _refusal(request: Request) -> Exception:
    turn = request.turn
    REFUSED.labels(request.model).inc()
    tokens = max(turn.estimate, turn.limit + 1)
    refusal: Exception = litellm.ContextWindowExceededError(
        message=f"prompt is too long: {tokens} tokens > {turn.limit} maximum",
        model=request.model,
        llm_provider="anthropic",
    )
    return refusal


def _counted(response: Any) -> int:
    """Return the tokens of the prompt from a complete answer; 0 if the answer is incomplete.

    The first event of a stream holds Ollama's guess. Only the last one holds the count, together
    with the tokens of the answer.
    """
    usage = response.get("usage") if isinstance(response, dict) else None
    usage = usage or getattr(response, "usage", None) or {}
    values = usage if isinstance(usage, dict) else vars(usage)
    tokens = values.get("prompt_tokens") or values.get("input_tokens") or 0
    return tokens if values.get("completion_tokens") or values.get("output_tokens") else 0


class TokenCounter(BaseTokenCounter):  # type: ignore[misc]
    """Count tokens for Ollama by the estimate, instead of another model's tokenizer."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows

    def should_use_token_counting_api(self, custom_llm_provider: str | None = None) -> bool:
        return True

    async def count_tokens(
        self,
        model_to_use: str,
        messages: list[Json] | None,
        contents: list[Json] | None,
        deployment: Json | None = None,
        request_model: str = "",
        tools: list[Json] | None = None,
        system: Any = None,
        **_: Any,
    ) -> TokenCountResponse:
        if not deployment:
            raise ValueError("the token counter needs a deployment")
        model = deployment["litellm_params"]["model"]
        request = {"model": model, "messages": messages, "tools": tools, "system": system}
        return TokenCountResponse(
            total_tokens=self.windows.estimate(deployment["model_info"], request).estimate,
            request_model=request_model,
            model_used=_model(request),
            tokenizer_type="mirrorfleet",
        )


def install() -> None:
    """Check every turn of this worker, and count its tokens."""
    from litellm.proxy import proxy_server

    counts = Counts(os.environ["MIRRORFLEET_COUNTS"])
    if counts.error:
        log.warning("mirrorfleet: token counts are not stored: %s", counts.error)
    windows = Windows(counts)
    litellm.logging_callback_manager.add_litellm_callback(windows)
    counter, original = TokenCounter(windows), proxy_server._get_provider_token_counter

    def token_counter(deployment: Json, model_to_use: str) -> Any:
        if WINDOW not in ((deployment or {}).get("model_info") or {}):
            return original(deployment, model_to_use)
        return counter, model_to_use, "anthropic"

    proxy_server._get_provider_token_counter = token_counter
