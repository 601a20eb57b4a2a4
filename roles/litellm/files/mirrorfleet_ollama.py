"""No prompt reaches an Ollama that would cut it.

Ollama answers 200 to a prompt that is longer than the window of its model: it drops whole messages
from the front, and of what is still too long the middle. The model then answers something else
than it was asked. So before a turn goes to a deployment with `mirrorfleet_window` in its
model_info:

1. A turn that fits in any case goes on. Of a conversation's earlier turns, the engine has told how
   many tokens they have; what is new has no more tokens than bytes.
2. About any other, the engine is asked. If it would cut the prompt, the turn is refused in
   Anthropic's words, on which clients shorten the conversation, and LiteLLM falls back to the
   `context_window_fallbacks` of the model.
3. If the engine does not answer that question, the estimate decides.

The smallest part of the window is kept for the answer, and `max_tokens` is lowered to what is left:
when a window is full, Ollama forgets the beginning of the prompt and goes on.

The count of every whole turn is remembered and learnt from. About one that is far below the
estimate the engine is asked once more: if that prompt was cut, the log and a metric tell it, and
the estimate rises.

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
    from mirrorfleet.roles.litellm.files.mirrorfleet_counts import Counts
    from mirrorfleet.roles.litellm.files.mirrorfleet_question import question
    from mirrorfleet.roles.litellm.files.mirrorfleet_turn import Turn, count, learn, weighed
else:
    from mirrorfleet_counts import Counts
    from mirrorfleet_question import question
    from mirrorfleet_turn import Turn, count, learn, weighed

Json = dict[str, Any]

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own, so that level and JSON format are its

WINDOW, WEIGHTS = "mirrorfleet_window", "mirrorfleet_weights"

CONNECT = 10
"""Seconds until an engine takes a connection."""

AT_HAND = 256
"""Turns of a worker whose counts are waited for: of more, the oldest teach nothing."""

REFUSED = Counter("mirrorfleet_prompts_refused", "Prompts that did not fit", ["model"])
CUT = Counter("mirrorfleet_prompts_cut", "Prompts that the engine cut all the same", ["model"])
ASKED = Counter("mirrorfleet_window_questions", "Does it fit? By answer", ["model", "answer"])


class Request:
    """A turn, and what it takes to ask its engine about it."""

    def __init__(self, turn: Turn, request: Json) -> None:
        self.turn = turn
        self.model = _model(request)
        self.url = f"{request.get('api_base')}/api/chat"
        self.headers: dict[str, str] = request.get("extra_headers") or {}
        self.body = {name: request.get(name) for name in ("system", "messages", "tools")}


class Windows(CustomLogger):  # type: ignore[misc]
    """LiteLLM's hooks. The first is called when a deployment was chosen: also for the one that a
    turn falls back to."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self.counts = counts
        self.at_hand: OrderedDict[str, Request] = OrderedDict()
        self._client: AsyncClient | None = None

    def weighed(self, info: Json, request: Json) -> Turn:
        window = info[WINDOW]
        whose = f"{_model(request)} {info.get(WEIGHTS)} {window}"
        return weighed(self.counts, whose, window, request)

    async def async_pre_call_deployment_hook(
        self, kwargs: Json, call_type: CallTypes | None
    ) -> Json | None:
        call = kwargs["litellm_call_id"]
        self.at_hand.pop(call, None)
        info = kwargs.get("model_info") or {}
        if WINDOW not in info or call_type != CallTypes.anthropic_messages:
            return None
        request = Request(self.weighed(info, kwargs), kwargs)
        turn = request.turn
        if turn.most > turn.limit:
            try:
                fits = await self.ask(request)
            except TimeoutException:
                # The turn would wait as long once more. Another deployment may answer it.
                message = f"Ollama at {request.url} does not say whether the prompt fits"
                raise litellm.Timeout(message, request.model, "anthropic") from None
            if fits is False or (fits is None and turn.estimate > turn.limit):
                raise _refusal(request)
        self.at_hand[call] = request
        if len(self.at_hand) > AT_HAND:
            self.at_hand.popitem(last=False)
        if (kwargs.get("max_tokens") or 0) > turn.room:
            return {**kwargs, "max_tokens": turn.room}
        return None

    async def ask(self, request: Request) -> bool | None:
        """Ask the engine whether a prompt fits; None is no answer that can be used.

        Raises ``TimeoutException``.
        """
        if self._client is None:
            # It is asked past any proxy of this machine, and loads the model if need be.
            patience = Timeout(litellm.request_timeout, connect=CONNECT)
            self._client = AsyncClient(trust_env=False, timeout=patience)
        body, word = question(request.model, request.body, request.turn.reserve)
        fits = None
        try:
            answer = await self._client.post(request.url, json=body, headers=request.headers)
            if answer.status_code == 200:
                fits = word in answer.json()["_debug_info"]["rendered_template"]
        except TimeoutException:
            ASKED.labels(request.model, "none").inc()
            raise
        except (HTTPError, ValueError, KeyError, TypeError):
            pass
        said = {True: "fits", False: "too_long", None: "none"}[fits]
        ASKED.labels(request.model, said).inc()
        return fits

    async def async_log_success_event(
        self, kwargs: Json, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        request = self.at_hand.pop(kwargs.get("litellm_call_id", ""), None)
        tokens = _counted(response_obj)
        if request is None or not tokens:
            return
        turn = request.turn
        if turn.is_suspect(tokens) and not await self.fits_after_all(request):
            CUT.labels(request.model).inc()
            log.error(
                "mirrorfleet: Ollama cut a prompt of about %d tokens to %d: the window of %s is %d",
                *(turn.estimate, tokens, request.model, turn.window),
            )
            # It had more tokens than the window, however few it was taken for.
            learn(self.counts, turn, max(turn.window, turn.estimate))
            return
        count(self.counts, turn, tokens)

    async def fits_after_all(self, request: Request) -> bool:
        try:
            return await self.ask(request) is True
        except TimeoutException:
            return False

    async def async_log_failure_event(
        self, kwargs: Json, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self.at_hand.pop(kwargs.get("litellm_call_id", ""), None)


def _model(request: Json) -> str:
    """Return what the engine calls a model."""
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
    """Return the tokens of the prompt by a whole answer; 0, where it broke off.

    The first event of a stream has a guess of Ollama's. Only the last one has the count, and with
    it the tokens of the answer.
    """
    usage = response.get("usage") if isinstance(response, dict) else None
    usage = usage or getattr(response, "usage", None) or {}
    said = usage if isinstance(usage, dict) else vars(usage)
    tokens = said.get("prompt_tokens") or said.get("input_tokens") or 0
    return tokens if said.get("completion_tokens") or said.get("output_tokens") else 0


class TokenCounter(BaseTokenCounter):  # type: ignore[misc]
    """What LiteLLM counts tokens of such a model by, in the place of another model's tokenizer."""

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
            raise ValueError("a token counter is chosen by its deployment, and there is none")
        model = deployment["litellm_params"]["model"]
        request = {"model": model, "messages": messages, "tools": tools, "system": system}
        return TokenCountResponse(
            total_tokens=self.windows.weighed(deployment["model_info"], request).estimate,
            request_model=request_model,
            model_used=_model(request),
            tokenizer_type="mirrorfleet",
        )


def install() -> None:
    """Look at every turn of this worker, and count its tokens."""
    from litellm.proxy import proxy_server

    counts = Counts(os.environ["MIRRORFLEET_COUNTS"])
    if counts.error:
        log.warning("mirrorfleet: counts of tokens are not kept: %s", counts.error)
    windows = Windows(counts)
    litellm.logging_callback_manager.add_litellm_callback(windows)
    counter, theirs = TokenCounter(windows), proxy_server._get_provider_token_counter

    def chosen(deployment: Json, model_to_use: str) -> Any:
        if WINDOW not in ((deployment or {}).get("model_info") or {}):
            return theirs(deployment, model_to_use)
        return counter, model_to_use, "anthropic"

    proxy_server._get_provider_token_counter = chosen
