"""From a request to the prompt of a model: how Ollama translates, renders and cuts.

As in anthropic/anthropic.go, server/prompt.go and llm/llama_server.go of Ollama 0.32, for a model
with a template of Ollama and a tokenizer that adds no token. Ollama cuts silently in two ways: it
drops whole messages from the front, except for system messages and the last one; then it drops the
middle of a prompt that is still too long.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.standins.ollama.decoding import parameters
from tests.standins.ollama.tokenizer import count

Json = dict[str, Any]

KEEP = 4
"""Tokens that stay at the front of a prompt without its middle: Ollama's num_keep."""

IMAGE = 768
"""Tokens that Ollama assumes for an image."""


class Prompt(NamedTuple):
    """A prompt: ``tokens`` is the number after cutting, ``whole`` the number before."""

    text: str
    tokens: int
    whole: int


def chat(body: Json) -> Json:
    """Translate a request of /v1/messages into one of /api/chat. Raises ``Invalid``."""
    messages: list[Json] = []
    if system := _text(body.get("system") or ""):
        messages.append({"role": "system", "content": system})
    for message in body["messages"]:
        messages.extend(_translated(message["role"], message["content"]))
    tools = [
        {
            "type": "function",
            "function": {
                "name": tool["name"],
                "description": tool.get("description", ""),
                "parameters": parameters(tool),
            },
        }
        for tool in body.get("tools", ())
    ]
    return {"model": body["model"], "messages": messages, "tools": tools}


def _text(content: str | list[Json]) -> str:
    if isinstance(content, str):
        return content
    return "".join(block["text"] for block in content if block["type"] == "text")


def _translated(role: str, content: str | list[Json]) -> Iterator[Json]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    results: list[Json] = []
    calls: list[Json] = []
    images, thinking = 0, ""
    for block in blocks:
        if block["type"] == "tool_result":
            inner = block.get("content") or ""
            found = [] if isinstance(inner, str) else [b for b in inner if b["type"] == "image"]
            results.append({"role": "tool", "content": _text(inner), "images": [""] * len(found)})
        elif block["type"] == "tool_use":
            calls.append({"function": {"name": block["name"], "arguments": block["input"]}})
        elif block["type"] == "thinking":
            thinking = block["thinking"]
        images += block["type"] == "image"
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
    """Return the text of the prompt: with the usual markers, and tools in the first message."""
    parts = []
    if tools:
        lines = "\n".join(_dumped(tool) for tool in tools)
        parts.append(f"<|im_start|>system\n# Tools\n\n<tools>\n{lines}\n</tools><|im_end|>\n")
    for message in messages:
        body = message["content"]
        if message.get("thinking"):
            body = f"<think>\n{message['thinking']}\n</think>\n\n{body}"
        for call in message.get("tool_calls") or ():
            body += f"\n<tool_call>\n{_dumped(call['function'])}\n</tool_call>"
        if message["role"] == "tool":
            body = f"<tool_response>\n{body}\n</tool_response>"
        role = "user" if message["role"] == "tool" else message["role"]
        parts.append(f"<|im_start|>{role}\n{body}<|im_end|>\n")
    return "".join(parts) + "<|im_start|>assistant\n"


def _dumped(value: Any) -> str:
    """Return JSON as Go writes it."""
    text = json.dumps(value, ensure_ascii=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def size(messages: list[Json], tools: list[Json]) -> int:
    """Return the tokens of a prompt before cutting."""
    images = sum(len(message.get("images") or ()) for message in messages)
    return count(render(messages, tools)) + IMAGE * images


def fitted(messages: list[Json], tools: list[Json], window: int) -> list[Json]:
    """Return the messages that stay: Ollama drops them from the front until the rest fits."""
    for at in range(len(messages)):
        system = [message for message in messages[:at] if message["role"] == "system"]
        if size([*system, *messages[at:]], tools) <= window:
            break
    return [*system, *messages[at:]]


def prompt(request: Json, window: int, truncate: bool = True) -> Prompt:
    """Return the prompt that a model with this window reads for a request to /api/chat."""
    messages, tools = request["messages"], request.get("tools") or []
    whole = size(messages, tools)
    kept = fitted(messages, tools, window) if truncate else messages
    tokens = size(kept, tools)
    if truncate and tokens > window - 1:
        tokens = window - max((window - KEEP) // 2, 1)
    return Prompt(render(kept, tools), tokens, whole)
