"""Split a request to /v1/messages into parts, with their digests and amounts of text.

Plain Python, without LiteLLM and without requests to an engine. Content that Ollama drops (see its
anthropic/anthropic.go) is not counted.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

Json = dict[str, Any]

DIGEST = 16
"""Size of a digest in bytes."""

IMAGE = 768
"""Tokens that Ollama assumes for an image when it checks the length of a prompt."""

MARKERS = 64
"""Maximum number of tokens that a chat template adds to a message."""

RUN = re.compile(r"[!-~]{48,}")
"""Long text without a space, base64 for example, has fewer bytes per token than words."""


class Kinds(NamedTuple):
    """The bytes of each kind of text, and the number of messages."""

    words: float
    runs: float  # text without spaces, see RUN
    wide: float  # text outside ASCII
    messages: float


@dataclass(frozen=True)
class Part:
    """A part of a prompt: the system prompt with the tools, or one message."""

    text: str
    images: int

    @property
    def upper_bound(self) -> int:
        """The maximum number of tokens: each token has at least one byte."""
        escaped = sum(map(self.text.count, "<>&"))  # Go writes them as \u003c
        return len(encoded(self.text)) + 5 * escaped + IMAGE * self.images + MARKERS


def split(request: Json) -> list[Part]:
    """Return the parts of a request, in the order of the prompt."""
    tools = [
        dumped([tool.get("name"), tool.get("description"), tool.get("input_schema")])
        for tool in request.get("tools") or ()
    ]
    head = Part("\n".join([text(request.get("system")), *tools]), 0)
    return [head, *(_part(message) for message in request.get("messages") or ())]


def _part(message: Json) -> Part:
    parts, images = [str(message.get("role"))], 0
    for block in blocks(message.get("content")):
        match block.get("type"):
            case "text":
                parts.append(block.get("text") or "")
            case "thinking":
                parts.append(block.get("thinking") or "")
            case "tool_use" | "server_tool_use":
                parts.append(dumped([block.get("name"), block.get("input")]))
            case "tool_result":
                inner = blocks(block.get("content"))
                parts.append(text(inner))
                inner_images = [part for part in inner if part.get("type") == "image"]
                images += len(inner_images)
                parts.extend(map(_image_digest, inner_images))
            case "web_search_tool_result":
                parts.append(dumped(block.get("content")))
            case "image":
                images += 1
                parts.append(_image_digest(block))
    return Part("\x1f".join(parts), images)


def _image_digest(block: Json) -> str:
    return hashlib.blake2b(encoded(dumped(block.get("source"))), digest_size=8).hexdigest()


def blocks(content: Any) -> list[Json]:
    """Return the blocks of a content; plain text becomes one block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content or () if isinstance(block, dict)]


def text(content: Any) -> str:
    """Return the text of a content."""
    return "".join(part.get("text") or "" for part in blocks(content) if part.get("type") == "text")


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def encoded(value: str) -> bytes:
    return value.encode(errors="surrogatepass")


def digests(weights: str, parts: list[Part]) -> list[bytes]:
    """Return a digest of each prefix of a prompt: of its first part, of its first two, and so on.

    ``weights`` identifies the model that counts the tokens.
    """
    digest = hashlib.blake2b(weights.encode(), digest_size=DIGEST)
    found = []
    for part in parts:
        content = encoded(part.text)
        digest.update(b"%d %d\n" % (len(content), part.images))
        digest.update(content)
        found.append(digest.digest())
    return found


def kinds(parts: list[Part]) -> Kinds:
    """Return the amounts of text of each kind."""
    words = runs = wide = 0
    for part in parts:
        total = len(encoded(part.text))
        ascii_bytes = total if part.text.isascii() else len(part.text.encode("ascii", "ignore"))
        long = sum(map(len, RUN.findall(part.text)))
        wide, runs, words = wide + total - ascii_bytes, runs + long, words + ascii_bytes - long
    return Kinds(words, runs, wide, len(parts))
