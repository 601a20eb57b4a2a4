"""Hooks of a house, as public configurations have them."""

from __future__ import annotations

from typing import Any

from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.integrations.custom_logger import CustomLogger
from litellm.llms.custom_llm import CustomLLM
from litellm.types.utils import ModelResponse


class House(CustomLogger):
    """Send every request with the house's own system prompt."""

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        return {**data, "system": "Answer as the house does."}


class NoPasswords(CustomGuardrail):
    """Refuse prompts with the word password."""

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        if "password" in str(data.get("messages")):
            raise ValueError("a password stays in the house")
        return data


class Echo(CustomLLM):
    """Answer without a provider."""

    async def acompletion(self, *args: Any, **kwargs: Any) -> ModelResponse:
        answer: ModelResponse = kwargs["model_response"]
        answer.choices[0].message.content = "pong"  # type: ignore[union-attr]
        return answer


house = House()
echo = Echo()
