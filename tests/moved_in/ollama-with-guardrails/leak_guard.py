"""A guardrail of the user's own: answers must not hold a key."""

from typing import Any

from litellm.integrations.custom_guardrail import CustomGuardrail


class LeakGuard(CustomGuardrail):
    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any
    ) -> None:
        if "BEGIN PRIVATE KEY" in str(response):
            raise ValueError("the answer holds a private key")
