"""Streamed answers of a stand-in that report other tokens for each prompt: "number 5" and so on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

SLOWLY = "slowly"
"""A prompt with this word is answered with a delta each tenth of a second."""

BROKEN = "broken"
"""A prompt with this word is answered with a stream that ends in the middle."""

DELTAS = 30


def tokens(body: Any) -> tuple[int, int, int, int]:
    """Return what the stand-in reports for a prompt: input, cache read and written, output."""
    prompt = json.dumps(body.get("messages") or body["input"])
    number = int(prompt.split("number ")[1].split('"')[0].split()[0])
    return 100 + number, 1000 + number, number % 7, 10 + number


def events(body: Any) -> Iterator[dict[str, Any]]:
    """Yield an answer of the Messages API."""
    new, read, written, output = tokens(body)
    text = json.dumps(body)
    usage = {
        "input_tokens": new,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "output_tokens": 1,
    }
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
    yield {"type": "message_start", "message": {**head, "stop_reason": None, "usage": usage}}
    block = {"type": "text", "text": ""}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    for _ in range(DELTAS):
        time.sleep(0.1 if SLOWLY in text else 0)
        delta = {"type": "text_delta", "text": "word "}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    if BROKEN in text:
        return
    yield {"type": "content_block_stop", "index": 0}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {**usage, "output_tokens": output}}
    yield {"type": "message_stop"}


def chunks(body: Any) -> Iterator[dict[str, Any]]:
    """Yield an answer of /v1/chat/completions; its prompt tokens include those of the cache."""
    new, read, _, output = tokens(body)
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    for at in range(DELTAS):
        time.sleep(0.1 if SLOWLY in json.dumps(body) else 0)
        delta = {"content": "word "} | ({"role": "assistant"} if at == 0 else {})
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    if BROKEN in json.dumps(body):
        return
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    details = {"cached_tokens": read}
    usage = {"prompt_tokens": new + read, "completion_tokens": output, "total_tokens": 0}
    yield {**head, "choices": [], "usage": {**usage, "prompt_tokens_details": details}}


def responses(body: Any) -> Iterator[dict[str, Any]]:
    """Yield an answer of /v1/responses; its input tokens include those of the cache."""
    new, read, _, output = tokens(body)
    head = {"id": "r", "object": "response", "created_at": 1, "model": body["model"]}
    started = {**head, "status": "in_progress", "output": []}
    yield {"type": "response.created", "sequence_number": 0, "response": started}
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    for number in range(DELTAS):
        time.sleep(0.1 if SLOWLY in json.dumps(body) else 0)
        delta = {**place, "sequence_number": number + 1, "delta": "word ", "logprobs": []}
        yield {"type": "response.output_text.delta", **delta}
    if BROKEN in json.dumps(body):
        return
    text = {"type": "output_text", "text": "word " * DELTAS, "annotations": []}
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed"}
    usage = {
        **{"input_tokens": new + read, "input_tokens_details": {"cached_tokens": read}},
        **{"output_tokens": output, "output_tokens_details": {"reasoning_tokens": 0}},
        "total_tokens": new + read + output,
    }
    done = {**head, "status": "completed", "output": [{**message, "content": [text]}]}
    done["usage"] = usage
    yield {"type": "response.completed", "sequence_number": DELTAS + 1, "response": done}
