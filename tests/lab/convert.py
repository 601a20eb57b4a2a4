"""Convert requests of Anthropic's API with vLLM's own converter, and render them if vLLM does.

Runs in vLLM's environment, without a model and without a GPU:

    python convert.py <CASES

``CASES`` is a JSON list of objects with ``body`` (parameters of the request) and ``defaults``
(--default-chat-template-kwargs), as in tests/lab/thinking.py. Prints a JSON list: for each case
``arguments`` of the chat template, and ``prompt`` if vLLM renders the family without a template:
the end of the prompt, or its arguments.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from vllm.entrypoints.anthropic.protocol import AnthropicMessagesRequest
from vllm.entrypoints.anthropic.serving import AnthropicServingMessages
from vllm.renderers.kimi_k3 import _apply_k3_thinking_kwargs
from vllm.tokenizers.deepseek_v4 import get_deepseek_v4_tokenizer
from vllm.tokenizers.deepseek_v32 import get_deepseek_v32_tokenizer
from vllm.tokenizers.deepseek_v41 import get_deepseek_v41_tokenizer

MESSAGES = [{"role": "user", "content": "Hello"}]
ALWAYS = ("add_generation_prompt", "continue_final_message")


def arguments(case: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the chat template."""
    request = AnthropicMessagesRequest(model="m", max_tokens=1, messages=MESSAGES, **case["body"])
    chat = AnthropicServingMessages.to_chat_completion_request(request)
    params = chat.build_chat_params(None, "auto").with_defaults(case["defaults"])
    return {k: v for k, v in params.chat_template_kwargs.items() if k not in ALWAYS}


def _kimi(given: dict[str, Any]) -> dict[str, Any]:
    given = dict(given)
    _apply_k3_thinking_kwargs(given)
    return given


def _rendered(make: Callable[[Any], Any]) -> Callable[[dict[str, Any]], str]:
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))

    def prompt(given: dict[str, Any]) -> str:
        text: str = make(words).apply_chat_template(MESSAGES, tokenize=False, **given)
        return text

    return prompt


RENDERERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "deepseek-v3.2": _rendered(get_deepseek_v32_tokenizer),
    "deepseek-v4": _rendered(get_deepseek_v4_tokenizer),
    "deepseek-v4.1": _rendered(get_deepseek_v41_tokenizer),
    "kimi-k3": _kimi,
}


def answer(case: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments and, if vLLM renders the family itself, the prompt."""
    given = arguments(case)
    render = RENDERERS.get(case["family"])
    return {"arguments": given, **({"prompt": render(given)} if render else {})}


if __name__ == "__main__":
    print(json.dumps([answer(case) for case in json.load(sys.stdin)]))
