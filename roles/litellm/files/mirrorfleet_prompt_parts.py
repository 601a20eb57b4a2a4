"""What a request to /v1/messages weighs: its parts, their digests, and how much text they have.

Plain Python: it knows no LiteLLM and asks nobody. What Ollama drops of a request is not counted
(its anthropic/anthropic.go).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

Json = dict[str, Any]

DIGEST = 16
"""Bytes of a digest."""

IMAGE = 768
"""Tokens that Ollama takes an image for when it looks whether a prompt fits."""

MARKERS = 64
"""Tokens that a template may add to a message, at most."""

RUN = re.compile(r"[!-~]{48,}")
"""Text without a space for so long, base64 for example, has shorter tokens than words have."""


class Kinds(NamedTuple):
    """How much there is of each kind of text in bytes, and the number of messages."""

    words: float
    runs: float
    wide: float
    messages: float


@dataclass(frozen=True)
class Piece:
    """A part of a prompt: the system prompt with the tools, or one message."""

    text: str
    images: int

    @property
    def most(self) -> int:
        """Tokens that it can have at most: no token has less than a byte."""
        escaped = sum(map(self.text.count, "<>&"))  # Go writes them as \u003c
        return len(encoded(self.text)) + 5 * escaped + IMAGE * self.images + MARKERS


def pieces(request: Json) -> list[Piece]:
    """Return the parts of a request in the order in which they are read."""
    tools = [
        dumped([each.get("name"), each.get("description"), each.get("input_schema")])
        for each in request.get("tools") or ()
    ]
    head = Piece("\n".join([text(request.get("system")), *tools]), 0)
    return [head, *(_piece(each) for each in request.get("messages") or ())]


def _piece(message: Json) -> Piece:
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
                pictures = [each for each in inner if each.get("type") == "image"]
                images += len(pictures)
                parts.extend(map(_picture, pictures))
            case "web_search_tool_result":
                parts.append(dumped(block.get("content")))
            case "image":
                images += 1
                parts.append(_picture(block))
    return Piece("\x1f".join(parts), images)


def _picture(block: Json) -> str:
    return hashlib.blake2b(encoded(dumped(block.get("source"))), digest_size=8).hexdigest()


def blocks(content: Any) -> list[Json]:
    """Return the blocks of a content, which may be plain text."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [each for each in content or () if isinstance(each, dict)]


def text(content: Any) -> str:
    """Return the text of a content."""
    return "".join(each.get("text") or "" for each in blocks(content) if each.get("type") == "text")


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def encoded(value: str) -> bytes:
    return value.encode(errors="surrogatepass")


def digests(whose: str, parts: list[Piece]) -> list[bytes]:
    """Return a digest of each beginning of a prompt: of its first part, of its first two, …

    ``whose`` is what else a count depends on: the weights.
    """
    digest = hashlib.blake2b(whose.encode(), digest_size=DIGEST)
    found = []
    for part in parts:
        content = encoded(part.text)
        digest.update(b"%d %d\n" % (len(content), part.images))
        digest.update(content)
        found.append(digest.digest())
    return found


def kinds(parts: list[Piece]) -> Kinds:
    """Return how much text of each kind there is."""
    words = runs = wide = 0
    for part in parts:
        total = len(encoded(part.text))
        # Of a character that is not ASCII, no byte is.
        plain = total if part.text.isascii() else len(part.text.encode("ascii", "ignore"))
        long = sum(map(len, RUN.findall(part.text)))
        wide, runs, words = wide + total - plain, runs + long, words + plain - long
    return Kinds(words, runs, wide, len(parts))
