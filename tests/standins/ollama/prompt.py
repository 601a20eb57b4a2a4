"""From a request to the prompt that a model sees: how Ollama translates, renders and cuts.

After anthropic/anthropic.go, server/prompt.go and llm/llama_server.go of Ollama 0.32, for a model
with a template of Ollama's own and a tokenizer that adds no token. Cut is in two ways, neither of
which is told: whole messages from the front, but for system messages and the last one; and of what
is still too long, the middle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.standins.ollama.tokenizer import count

Json = dict[str, Any]

KEEP = 4
"""Tokens at the front of a prompt that loses its middle: Ollama's num_keep."""

IMAGE = 768
"""Tokens that Ollama takes an image for."""


class Prompt(NamedTuple):
    """``tokens`` are read of the ``whole`` that the request would have been."""

    text: str
    tokens: int
    whole: int


def chat(body: Json) -> Json:
    """Translate a request of /v1/messages into one of /api/chat."""
    messages: list[Json] = []
    if system := _text(body.get("system") or ""):
        messages.append({"role": "system", "content": system})
    for each in body["messages"]:
        messages.extend(_translated(each["role"], each["content"]))
    tools = [
        {
            "type": "function",
            "function": {
                "name": each["name"],
                "description": each.get("description", ""),
                "parameters": each.get("input_schema", {}),
            },
        }
        for each in body.get("tools", ())
    ]
    return {"model": body["model"], "messages": messages, "tools": tools}


def _text(content: str | list[Json]) -> str:
    if isinstance(content, str):
        return content
    return "".join(each["text"] for each in content if each["type"] == "text")


def _translated(role: str, content: str | list[Json]) -> Iterator[Json]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    results: list[Json] = []
    calls: list[Json] = []
    images, thinking = 0, ""
    for each in blocks:
        if each["type"] == "tool_result":
            said = each.get("content") or ""
            found = [] if isinstance(said, str) else [b for b in said if b["type"] == "image"]
            results.append({"role": "tool", "content": _text(said), "images": [""] * len(found)})
        elif each["type"] == "tool_use":
            calls.append({"function": {"name": each["name"], "arguments": each["input"]}})
        elif each["type"] == "thinking":
            thinking = each["thinking"]
        images += each["type"] == "image"
    message = {
        "role": role,
        "content": _text(blocks),
        "images": [""] * images,
        "tool_calls": calls,
        "thinking": thinking,
    }
    is_empty = not (message["content"] or images or calls or thinking)
    yield from (*results, *([] if is_empty else [message]))


def render(messages: list[Json], tools: list[Json]) -> str:
    """Return the text that the model sees: the usual markers, tools in the first message."""
    parts = []
    if tools:
        lines = "\n".join(_dumped(each) for each in tools)
        parts.append(f"<|im_start|>system\n# Tools\n\n<tools>\n{lines}\n</tools><|im_end|>\n")
    for each in messages:
        body = each["content"]
        if each.get("thinking"):
            body = f"<think>\n{each['thinking']}\n</think>\n\n{body}"
        for call in each.get("tool_calls") or ():
            body += f"\n<tool_call>\n{_dumped(call['function'])}\n</tool_call>"
        if each["role"] == "tool":
            body = f"<tool_response>\n{body}\n</tool_response>"
        role = "user" if each["role"] == "tool" else each["role"]
        parts.append(f"<|im_start|>{role}\n{body}<|im_end|>\n")
    return "".join(parts) + "<|im_start|>assistant\n"


def _dumped(value: Any) -> str:
    """Return JSON as Go writes it."""
    text = json.dumps(value, ensure_ascii=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def size(messages: list[Json], tools: list[Json]) -> int:
    images = sum(len(each.get("images") or ()) for each in messages)
    return count(render(messages, tools)) + IMAGE * images


def fitted(messages: list[Json], tools: list[Json], window: int) -> list[Json]:
    """Return the messages that stay: whole ones go from the front, until the rest fits."""
    for at in range(len(messages)):
        system = [each for each in messages[:at] if each["role"] == "system"]
        if size([*system, *messages[at:]], tools) <= window:
            break
    return [*system, *messages[at:]]


def prompt(request: Json, window: int, truncate: bool = True) -> Prompt:
    """Return what a model with this window reads of a request to /api/chat."""
    messages, tools = request["messages"], request.get("tools") or []
    whole = size(messages, tools)
    kept = fitted(messages, tools, window) if truncate else messages
    tokens = size(kept, tools)
    if truncate and tokens > window - 1:
        tokens = window - max((window - KEEP) // 2, 1)
    return Prompt(render(kept, tools), tokens, whole)
