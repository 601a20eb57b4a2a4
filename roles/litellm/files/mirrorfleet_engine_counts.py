"""Count tokens at engines whose key is a bearer, as vLLM's and SGLang's are.

LiteLLM sends the key of a deployment of Anthropic's API as `x-api-key`. A turn has it as a bearer
too, from the deployment's `extra_headers`. A count of tokens does not have these headers: the
engine would answer 401, and LiteLLM would return an estimate by the tokenizer of another model.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

from typing import Any

HEADER = "Authorization"


def install() -> None:
    """Let each count of tokens have the bearer of its deployment."""
    from litellm.llms.anthropic.common_utils import AnthropicModelInfo

    original = AnthropicModelInfo.aget_auth_header

    async def header(
        *arguments: Any, litellm_params: dict[str, Any] | None = None, **options: Any
    ) -> Any:
        bearer = ((litellm_params or {}).get("extra_headers") or {}).get(HEADER)
        if bearer:
            return {HEADER.lower(): bearer}
        return await original(*arguments, litellm_params=litellm_params, **options)

    AnthropicModelInfo.aget_auth_header = staticmethod(header)
