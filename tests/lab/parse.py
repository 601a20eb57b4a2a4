"""Have vLLM's own parsers read what a model writes.

Runs in vLLM's environment, without a model and without a GPU:

    python parse.py TOOL_PARSER REASONING_PARSER JSON

``JSON`` holds the ``tool`` that is offered and what is ``written`` after a prompt that ends within
<think>. Prints what a client of the server would get of it, at once and token by token.
"""

import json
import sys
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import ByteLevel
from transformers import PreTrainedTokenizerFast
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.parser.parser_manager import ParserManager


def tokenizer() -> PreTrainedTokenizerFast:
    """Return one of single bytes, and of the words by which these models mark what they write."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = Tokenizer(models.BPE({each: at for at, each in enumerate(alphabet)}, []))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = ByteLevel()
    plain.add_tokens(["<think>", "</think>", "<tool_call>", "</tool_call>"])
    plain.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    return PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<|im_end|>")


def main(tool_parser: str, reasoning_parser: str, said: str) -> None:
    tool, written = (json.loads(said)[name] for name in ("tool", "written"))
    words = tokenizer()
    request = ChatCompletionRequest(
        model="m", messages=[{"role": "user", "content": "Leave a note."}], tools=[tool]
    )
    made = ParserManager.get_parser(
        tool_parser, reasoning_parser, enable_auto_tools=True, tokenizer=words
    )
    read = whole(made(words, request.tools), request, words.encode(written), written)
    streams = streamed(made(words, request.tools), request, words, words.encode(written))
    print(json.dumps({"whole": read, "streamed": streams}))


def whole(
    parser: Any, request: ChatCompletionRequest, tokens: list[int], written: str
) -> dict[str, Any]:
    thought, text, calls = parser.parse(
        written, request, enable_auto_tools=True, model_output_token_ids=tokens
    )
    made = [(call.name, call.arguments) for call in calls or ()]
    return {"thought": thought, "text": text, "calls": made}


def streamed(
    parser: Any, request: ChatCompletionRequest, words: Any, tokens: list[int]
) -> dict[str, Any]:
    thought, text, calls = "", "", dict[int, tuple[str, str]]()
    prompt = words.encode("<|im_start|>assistant\n<think>\n")
    for at, token in enumerate(tokens):
        delta = parser.parse_delta(
            words.decode([token]), [token], request, prompt, finished=at == len(tokens) - 1
        )
        if delta is None:
            continue
        thought += delta.reasoning or ""
        text += delta.content or ""
        for call in delta.tool_calls:
            name, arguments = calls.get(call.index, ("", ""))
            added = call.function
            calls[call.index] = name + (added.name or ""), arguments + (added.arguments or "")
    return {"thought": thought, "text": text, "calls": list(calls.values())}


if __name__ == "__main__":
    main(*sys.argv[1:])
