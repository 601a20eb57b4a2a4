"""Replace blocks of a request that a model or its engine cannot read.

Plain Python: functions from messages to messages, without LiteLLM. They never change their input.
Each mend has a kind, which the metric `mirrorfleet_requests_mended_total` counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Json = dict[str, Any]

IMAGE, DOCUMENT, IMAGE_URL = "image", "document", "image_url"


class Abilities(NamedTuple):
    """What a model and its engine can read; ``model`` is the name for messages.

    ``image_urls``: the engine downloads images.
    """

    model: str
    vision: bool = True
    documents: bool = True
    image_urls: bool = True


class Unreadable(NamedTuple):
    """A block that a model cannot read: its kind, and its place in the messages."""

    kind: str
    message: int
    block: int


def abilities(model: str, known: Mapping[str, bool], image_urls: bool) -> Abilities:
    """Return the abilities of a model; an unknown one counts as present."""
    return Abilities(model, known.get("vision", True), known.get("documents", True), image_urls)


def refusal(messages: list[Json], able: Abilities) -> tuple[str, str] | None:
    """Return the kind and the text of the refusal of a turn; ``None`` if the model can read it.

    Only what is new since the model's last answer is refused: earlier blocks were refused already,
    or read by another model. Claude Code finds the place in the text, replaces the block in its
    history, quotes the text to the model, and asks again. A place inside a tool result is that of
    the result: the client then replaces all of its blocks of this kind.
    """
    last = max((at for at, it in enumerate(messages) if it.get("role") == "assistant"), default=-1)
    for at in range(last + 1, len(messages)):
        for found in _unreadable(at, messages[at].get("content"), able):
            block = DOCUMENT if found.kind == DOCUMENT else IMAGE
            place = f"messages.{found.message}.content.{found.block}.{block}"
            return found.kind, f"{place}: {reason(found.kind, able)}"
    return None


def reason(kind: str, able: Abilities) -> str:
    """Return why a model cannot read a block, and what to do instead.

    Claude Code quotes at most 200 characters of it. On the words "does not support PDF input", it
    makes the model read single pages as images.
    """
    model = f"The model {able.model}"
    if kind == IMAGE_URL:
        return f"{model} reads images only as base64 data, not by URL. Read the file itself."
    if kind == IMAGE:
        return f"{model} reads text only. Let the developer know that it did not see the image."
    if able.vision:
        return f"{model} does not support PDF input. Read single pages of the file as images."
    return f"{model} reads text only. Extract the text with a command, for example pdftotext."


def _unreadable(at: int, content: Any, able: Abilities) -> Iterator[Unreadable]:
    for number, block in enumerate(_blocks(content)):
        for part in (block, *_blocks(block.get("content"))):
            kind = _kind(part, able)
            if kind and not (kind == DOCUMENT and _plain(part)):
                yield Unreadable(kind, at, number)


def _kind(block: Json, able: Abilities) -> str:
    """Return the kind of a block that a model cannot read; "" if it can."""
    source = block.get("source")
    source = source if isinstance(source, dict) else {}
    if block.get("type") == "image":
        if not able.vision:
            return IMAGE
        return "" if able.image_urls or source.get("type") == "base64" else IMAGE_URL
    return DOCUMENT if block.get("type") == "document" and not able.documents else ""


def _blocks(content: Any) -> list[Json]:
    """Return the blocks of a content, with an empty one for what is no block."""
    blocks = content if isinstance(content, list) else []
    return [block if isinstance(block, dict) else {} for block in blocks]


def mended(messages: list[Json], able: Abilities) -> tuple[list[Json], set[str]]:
    """Return messages that a model can read, and the kinds of mends.

    Documents of plain text become text, references to tools become their names, a missing content
    becomes an empty one, and other blocks that the model cannot read become a note.
    """
    kinds: set[str] = set()
    found = [_mended_message(message, able, kinds) for message in messages]
    return (found, kinds) if kinds else (messages, kinds)


def _mended_message(message: Json, able: Abilities, kinds: set[str]) -> Json:
    content = message.get("content", [])
    if content is None:
        kinds.add("null_content")
        return {**message, "content": []}
    return _replaced(message, lambda block: _mended_block(block, able, kinds))


def _replaced(parent: Json, mend: Callable[[Json], list[Json]]) -> Json:
    """Return a message or a tool result with each of its blocks mended; itself if none changes."""
    content = parent.get("content")
    if not isinstance(content, list):
        return parent
    parts = [mend(block) if isinstance(block, dict) else [block] for block in content]
    blocks = [block for part in parts for block in part]
    same = len(blocks) == len(content) and all(map(_is, blocks, content))
    return parent if same else {**parent, "content": blocks}


def _is(one: Any, other: Any) -> bool:
    return one is other


def _mended_block(block: Json, able: Abilities, kinds: set[str]) -> list[Json]:
    """Return the blocks in place of one."""
    if block.get("type") == "tool_result":
        # A result never has another one in it, so this recursion ends.
        return [_replaced(block, lambda inner: _mended_part(inner, able, kinds))]
    return _mended_part(block, able, kinds)


def _mended_part(block: Json, able: Abilities, kinds: set[str]) -> list[Json]:
    """Return the blocks in place of one that is no tool result."""
    if block.get("type") == "tool_reference":
        kinds.add("tool_reference")
        return [_text(f"The tool {block.get('tool_name')} is available.\n", block)]
    kind = _kind(block, able)
    if kind == DOCUMENT and (texts := _plain(block)):
        kinds.add("text_document")
        return texts
    if kind:
        kinds.add(f"earlier_{kind}")
        return [_text(f"[{block['type']} left out: {reason(kind, able)}]", block)]
    return [block]


def _plain(document: Json) -> list[Json]:
    """Return the text of a document that holds nothing else; [] for all other documents."""
    source = document.get("source")
    source = source if isinstance(source, dict) else {}
    content = source.get("data") if source.get("type") == "text" else source.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    blocks = _blocks(content)
    if not blocks or any(block.get("type") != "text" for block in blocks):
        return []
    title = document.get("title")
    head = [{"type": "text", "text": f"{title}:\n"}] if isinstance(title, str) and title else []
    *rest, last = blocks
    return [*head, *rest, _text(str(last.get("text") or ""), document)]


def _text(text: str, block: Json) -> Json:
    """Return a block of text in place of another block, with its breakpoint of the prompt cache."""
    kept = {name: block[name] for name in ("cache_control",) if name in block}
    return {"type": "text", "text": text, **kept}
