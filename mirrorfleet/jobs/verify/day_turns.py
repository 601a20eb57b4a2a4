"""Pure: requests of an ordinary day of Claude Code 2.1.330, with the turns of an engine's proof."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from mirrorfleet.roles.proof.files import turns

Json = dict[str, Any]

WORDS = 2400
"""Words of the prompt of the second turn: long enough for several blocks of a prefix cache."""

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
QUERY = "Perform a web search for the query: mirrorfleet"

Request = tuple[str, Json]
"""The item that a request belongs to, and its body."""


def requests(expected: Json) -> Iterator[list[Request]]:
    """Yield the requests for a model; those of one list are sent one after the other.

    ``expected`` has the ``model``, its abilities (``tools``, ``thinks``, ``efforts``), an id of
    another release (``foreign``), and its ``fallbacks``.
    """
    tools = bool(expected["tools"])
    start = turns.opening(tools=tools, thinking={})
    if tools:
        yield from ([("tool reference", turns.reference(start, name))] for name in turns.DEFERRED)
    yield [("image", turns.image(start, tools=tools))]
    yield [("PDF", document(start, tools=tools))]
    yield [("web search", search(start))]
    if expected["thinks"]:
        yield [("thinking on", turns.with_thinking(start, ADAPTIVE))]
        yield [("thinking off", turns.with_thinking(start, {"thinking": {"type": "disabled"}}))]
    for level in expected["efforts"]:
        effort = {**ADAPTIVE, "output_config": {"effort": level}}
        yield [("effort", turns.with_thinking(start, effort))]
    if expected["foreign"]:
        yield [("foreign id", {**start, "model": expected["foreign"]})]
    for name in expected["fallbacks"] or ():
        yield [("fallbacks", {**start, "model": name})]
    first = turns.long(start, WORDS)
    yield [("first turn", first), ("second turn", turns.second(first))]


ADAPTIVE: Json = {"thinking": {"type": "adaptive"}}


def document(start: Json, *, tools: bool) -> Json:
    """Return a turn with a PDF: the result of Read; without tools, a pasted one."""
    body = turns.image(start, tools=tools)
    *earlier, last = body["messages"]
    block, *others = last["content"]
    if tools:
        block = {**block, "content": [pdf_block()]}
    return {
        **body,
        "messages": [*earlier, {**last, "content": [block if tools else pdf_block(), *others]}],
    }


def search(start: Json) -> Json:
    """Return the request that the client sends when a model calls WebSearch."""
    content = [{"type": "text", "text": QUERY}]
    return {
        "max_tokens": 256,
        "system": start["system"],
        "messages": [{"role": "user", "content": content}],
        "tools": [SEARCH],
        "tool_choice": {"type": "tool", "name": "web_search"},
    }


def pasted() -> Json:
    """Return the line with which an editor gives a screenshot and a PDF to the client."""
    picture = {"type": "base64", "media_type": "image/png", "data": _packed(turns.PNG)}
    question = {"type": "text", "text": "What is this? Answer in one sentence."}
    content = [{"type": "image", "source": picture}, pdf_block(), question]
    return {"type": "user", "message": {"role": "user", "content": content}}


def pdf_block() -> Json:
    """Return a PDF of one page as a block."""
    source = {"type": "base64", "media_type": "application/pdf", "data": _packed(pdf())}
    return {"type": "document", "source": source}


def pdf() -> bytes:
    """Return a PDF of one page with a line of text."""
    text = b"BT /F1 12 Tf 9 36 Td (A note) Tj ET"
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    content, offsets = b"%PDF-1.4\n", []
    for number, entry in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj%s endobj\n" % (number, entry)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    end = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(content))
    return content + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + end


def _packed(content: bytes) -> str:
    return base64.b64encode(content).decode()
