"""The answers of this benchmark's engine, by API, streamed and not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

WORDS = tuple(f"word-{number} " for number in range(20))
TEXT = "".join(WORDS)
USAGE = {"input_tokens": 7, "output_tokens": len(WORDS)}
CHAT_USAGE = {"prompt_tokens": 7, "completion_tokens": len(WORDS), "total_tokens": 7 + len(WORDS)}


def _message(**more: Any) -> dict[str, Any]:
    common = {"id": "msg_1", "type": "message", "role": "assistant", "model": "coder"}
    return {**common, "stop_reason": "end_turn", "stop_sequence": None, "usage": USAGE, **more}


def _events() -> list[bytes]:
    block = {"type": "text", "text": ""}
    deltas = [{"type": "text_delta", "text": word} for word in WORDS]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": _message(content=[], stop_reason=None)},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def _completion(kind: str, **choice: Any) -> dict[str, Any]:
    common = {"id": "1", "object": kind, "created": 1, "model": "coder"}
    return {**common, "choices": [{"index": 0, "finish_reason": None, **choice}]}


def _chunks() -> list[bytes]:
    kind = "chat.completion.chunk"
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in WORDS)]
    chunks = [
        *(_completion(kind, delta=delta) for delta in deltas),
        _completion(kind, delta={}, finish_reason="stop") | {"usage": CHAT_USAGE},
    ]
    return [*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n"]


def _chat() -> dict[str, Any]:
    answer = {"role": "assistant", "content": TEXT}
    done = _completion("chat.completion", message=answer, finish_reason="stop")
    return done | {"usage": CHAT_USAGE}


ANSWERS = {
    "messages": (
        json.dumps(_message(content=[{"type": "text", "text": TEXT}])).encode(),
        _events(),
    ),
    "completions": (json.dumps(_chat()).encode(), _chunks()),
}


def text(answer: str) -> str:
    """Return the text of an answer of /v1/messages, streamed or not."""
    if answer.startswith("{"):
        content: str = json.loads(answer)["content"][0]["text"]
        return content
    return "".join(_deltas(answer))


def _deltas(answer: str) -> Iterator[str]:
    for line in answer.splitlines():
        event = json.loads(line.removeprefix("data:")) if line.startswith("data: {") else {}
        if event.get("type") == "content_block_delta":
            yield event["delta"].get("text", "")
