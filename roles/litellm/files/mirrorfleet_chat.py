"""Translate a chat of OpenAI's API as LiteLLM sends it to an engine.

Engines of the fleet get Anthropic's Messages API, so LiteLLM translates chats, and responses by way
of a chat. The check of windows needs the translated prompt before it is sent.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import litellm
from litellm.utils import get_optional_params

Json = dict[str, Any]

DEFAULT = 4096
"""LiteLLM's `max_tokens` for a chat without one."""


def as_turn(request: Json) -> Json:
    """Return a chat as a turn: its `messages`, `system`, `tools`, `max_tokens` and the rest.

    Raises LiteLLM's exceptions for what it cannot translate, as LiteLLM itself would.
    """
    model = str(request["model"]).removeprefix("anthropic/")
    options = get_optional_params(
        model=model, custom_llm_provider="anthropic", tools=request.get("tools"), drop_params=True
    )
    translated: Json = litellm.AnthropicConfig().transform_request(
        model, deepcopy(request["messages"]), options, {}, {}
    )
    found = {name: translated.get(name) for name in ("messages", "system", "tools")}
    longest = request.get("max_completion_tokens") or request.get("max_tokens") or DEFAULT
    return {**request, **found, "max_tokens": longest}
