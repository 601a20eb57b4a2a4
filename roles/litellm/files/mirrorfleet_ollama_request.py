"""Build the request with which Ollama shows whether a prompt fits the window of its model.

A request to /v1/messages becomes one to /api/chat, translated as Ollama itself does it (its
anthropic/anthropic.go). With `_debug_render_only`, Ollama returns the prompt as it would truncate
it, and does not run the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_prompt_parts import (
        blocks,
        dumped,
        encoded,
        text,
    )
else:
    from mirrorfleet_prompt_parts import blocks, dumped, encoded, text

Json = dict[str, Any]

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
"""Replaces every image: Ollama counts all images alike, so their data need not be sent."""


def render_request(model: str, request: Json, reserve: int) -> tuple[Json, str]:
    """Return a body for /api/chat, and a marker that is in the response if the prompt fits.

    Ollama drops whole messages from the front. So an additional first message holds the marker, and
    as many tokens as are reserved for the answer. Ollama drops it first, unless everything fits.
    """
    marker = hashlib.blake2b(encoded(dumped(request.get("messages"))), digest_size=8).hexdigest()
    added = [
        {"role": "user", "content": marker + " a" * reserve},
        # Some templates accept only alternating messages of user and assistant.
        {"role": "assistant", "content": "a"},
    ]
    system = text(request.get("system"))
    messages = [part for each in request.get("messages") or () for part in _translated(each)]
    body = {
        "model": model,
        "messages": [
            *([{"role": "system", "content": system}] if system else []),
            *added,
            *messages,
        ],
        "tools": [_tool(tool) for tool in request.get("tools") or ()],
        "stream": False,
        "_debug_render_only": True,
        # A release without _debug_render_only runs the model: one token takes little time.
        "options": {"num_predict": 1},
    }
    return body, marker


def _tool(tool: Json) -> Json:
    function = {
        "name": tool.get("name"),
        "description": tool.get("description") or "",
        "parameters": tool.get("input_schema") or {},
    }
    return {"type": "function", "function": function}


def _translated(message: Json) -> Iterator[Json]:
    """Yield a message in Ollama's form, in which each tool result is a separate message."""
    role, images, thinking = message.get("role"), 0, ""
    texts: list[str] = []
    calls: list[Json] = []
    results: list[Json] = []
    for block in blocks(message.get("content")):
        match block.get("type"):
            case "text":
                texts.append(block.get("text") or "")
            case "thinking":
                thinking = block.get("thinking") or ""
            case "image":
                images += 1
            case "tool_use" | "server_tool_use":
                function = {"name": block.get("name"), "arguments": block.get("input") or {}}
                calls.append({"id": block.get("id"), "function": function})
            case "tool_result":
                inner = blocks(block.get("content"))
                count = sum(part.get("type") == "image" for part in inner)
                results.append(_result(block, text(inner), count))
            case "web_search_tool_result":
                results.append(_result(block, dumped(block.get("content")), 0))
    own: list[Json] = []
    if texts or images or calls or thinking:
        spoken = {"role": role, "content": "".join(texts), "images": [PIXEL] * images}
        own = [{**spoken, "tool_calls": calls, "thinking": thinking}]
    yield from ([*results, *own] if role == "user" else [*own, *results])


def _result(block: Json, content: str, images: int) -> Json:
    return {
        "role": "tool",
        "content": content,
        "tool_call_id": block.get("tool_use_id"),
        "images": [PIXEL] * images,
    }
