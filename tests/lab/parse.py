"""Parse the output of each model family with vLLM's own parsers.

Runs in vLLM's environment, without a model and without a GPU:

    python parse.py <CASES

``CASES`` is a JSON list of objects:

    family, name                    the name of the case in the result
    tool_parser, reasoning_parser   names of parsers, or null
    tools                           the tools of the request
    tokens, special                 texts that are one token each for the model's tokenizer
    texts                           more texts to learn the vocabulary from
    kwargs                          the arguments of the chat template
    prompt, written                 the end of the prompt, and the model's output after it
    ways                            per name: a list of the numbers of tokens that the parsers
                                    receive at a time; 0 for an answer that is not streamed

Prints one JSON object: per "family: name" and way, a list of answers that a client of the server
receives, or ``error``.
"""

import json
import sys
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers.decoders import ByteLevel
from transformers import PreTrainedTokenizerFast
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.parser.parser_manager import ParserManager

Answer = dict[str, Any]
END = "<|end of turn|>"


def tokenizer(texts: list[str], tokens: list[str], special: list[str]) -> Any:
    """Return a tokenizer of the words in ``texts``, and of each token and special token."""
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(initial_alphabet=alphabet, min_frequency=1, show_progress=False)
    plain.train_from_iterator(texts, trainer)
    plain.add_tokens(tokens)
    plain.add_special_tokens([*special, END])
    return PreTrainedTokenizerFast(tokenizer_object=plain, eos_token=END)


def _tokenizer_of(case: dict[str, Any]) -> Any:
    if case["tool_parser"] == "openai":
        return Harmony()
    return tokenizer([case["written"], *case["texts"]], case["tokens"], case["special"])


class Harmony:
    """The part of gpt-oss's tokenizer that its parser uses."""

    eos_token_id = 200002

    def __init__(self) -> None:
        from vllm.entrypoints.openai.parser.harmony_utils import get_encoding

        self.encoding = get_encoding()

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.encoding.encode(text, allowed_special="all")
        return ids

    def decode(self, ids: list[int], **_: Any) -> str:
        text: str = self.encoding.decode(ids)
        return text

    def get_vocab(self) -> dict[str, int]:
        return {}


def read(case: dict[str, Any]) -> Answer:
    """Return the answers that a client receives in a case, by way."""
    is_harmony = case["tool_parser"] == "openai"
    words = _tokenizer_of(case)
    parser = ParserManager.get_parser(
        case["tool_parser"],
        case["reasoning_parser"],
        enable_auto_tools=True,
        is_harmony=is_harmony,
        tokenizer=words,
    )
    prompt, written = words.encode(case["prompt"]), words.encode(case["written"])

    def answer(size: int) -> Answer:
        request = ChatCompletionRequest(
            model="m",
            messages=[{"role": "user", "content": "Leave a note."}],
            tools=case["tools"],
            chat_template_kwargs=case["kwargs"],
        )
        made = parser(words, request.tools, chat_template_kwargs=case["kwargs"])
        request = made.adjust_request(request)
        if size == 0:
            return whole(made, request, words, prompt, written)
        return streamed(made, request, words, prompt, steps(written, size, words.eos_token_id))

    return {way: [answer(size) for size in sizes] for way, sizes in case["ways"].items()}


def whole(parser: Any, request: Any, words: Any, prompt: list[int], written: list[int]) -> Answer:
    """Return the answer to a request that does not stream."""
    parser.set_prompt_token_ids(prompt)
    text = words.decode(written, skip_special_tokens=request.skip_special_tokens)
    thought, content, calls = parser.parse(
        text, request, enable_auto_tools=True, model_output_token_ids=written
    )
    made = [(call.name, call.arguments) for call in calls or ()]
    return {"thought": thought or "", "text": content or "", "calls": made}


Steps = Iterable[tuple[list[int], bool]]


def streamed(parser: Any, request: Any, words: Any, prompt: list[int], given: Steps) -> Answer:
    """Return the sum of the deltas of a stream, and the longest piece of arguments in a delta."""
    thought, content, calls, longest = "", "", dict[int, tuple[str, str]](), ""
    for tokens, finished in given:
        skip = request.skip_special_tokens
        text = "" if finished else words.decode(tokens, skip_special_tokens=skip)
        delta = parser.parse_delta(text, tokens, request, prompt, finished=finished)
        if delta is None:
            continue
        thought += delta.reasoning or ""
        content += delta.content or ""
        for call in delta.tool_calls:
            name, arguments = calls.get(call.index, ("", ""))
            added = call.function
            calls[call.index] = name + (added.name or ""), arguments + (added.arguments or "")
            longest = max(longest, added.arguments or "", key=len)
    made = list(calls.values())
    return {"thought": thought, "text": content, "calls": made, "longest": longest}


def steps(written: list[int], size: int, end: int) -> Steps:
    """Yield the tokens of each step of generation; the last is the end of the turn."""
    for at in range(0, len(written), size):
        yield written[at : at + size], False
    yield [end], True


def main() -> None:
    answers = {}
    for case in json.load(sys.stdin):
        try:
            answer = read(case)
        except Exception as failed:
            answer = {"error": f"{type(failed).__name__}: {failed}"}
        answers[f"{case['family']}: {case['name']}"] = answer
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
