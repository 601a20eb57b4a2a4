"""The question to Ollama whether a prompt fits into the window of its model.

A request to /v1/messages becomes one to /api/chat, as Ollama itself translates it (its
anthropic/anthropic.go). With `_debug_render_only`, Ollama shows the prompt as it would be cut, and
does not run the model.
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
"""An image for another one: Ollama counts images alike, and need not be sent the data."""


def question(model: str, request: Json, reserve: int) -> tuple[Json, str]:
    """Return a body for /api/chat, and a word that is in the answer if the prompt fits.

    Ollama cuts whole messages from the front. So the first message is one of ours, with that word,
    and with as many tokens as are kept for the answer. It is the first one to go, and goes unless
    all the others fit beside it.
    """
    word = hashlib.blake2b(encoded(dumped(request.get("messages"))), digest_size=8).hexdigest()
    ours = [
        {"role": "user", "content": word + " a" * reserve},
        # Some templates take turns of user and assistant only.
        {"role": "assistant", "content": "a"},
    ]
    system = text(request.get("system"))
    theirs = [message for each in request.get("messages") or () for message in _translated(each)]
    body = {
        "model": model,
        "messages": [*([{"role": "system", "content": system}] if system else []), *ours, *theirs],
        "tools": [_tool(each) for each in request.get("tools") or ()],
        "stream": False,
        "_debug_render_only": True,
        # A release without the line above would run the model: one token is soon there.
        "options": {"num_predict": 1},
    }
    return body, word


def _tool(tool: Json) -> Json:
    function = {
        "name": tool.get("name"),
        "description": tool.get("description") or "",
        "parameters": tool.get("input_schema") or {},
    }
    return {"type": "function", "function": function}


def _translated(message: Json) -> Iterator[Json]:
    """Yield a message as Ollama has it: results of tools are messages of their own."""
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
                pictures = sum(each.get("type") == "image" for each in inner)
                results.append(_result(block, text(inner), pictures))
            case "web_search_tool_result":
                results.append(_result(block, dumped(block.get("content")), 0))
    own: list[Json] = []
    if texts or images or calls or thinking:
        said = {"role": role, "content": "".join(texts), "images": [PIXEL] * images}
        own = [{**said, "tool_calls": calls, "thinking": thinking}]
    yield from ([*results, *own] if role == "user" else [*own, *results])


def _result(block: Json, content: str, images: int) -> Json:
    known = {"role": "tool", "content": content, "tool_call_id": block.get("tool_use_id")}
    return {**known, "images": [PIXEL] * images}
