"""What a request of Claude Code consists of, as names: fields, blocks, betas, headers, tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Part = tuple[str, str]
"""A kind, such as ``blocks``, and a name, such as ``user/tool_result/image``."""


def parts(body: dict[str, Any], headers: dict[str, str], target: str) -> Iterator[Part]:
    """Yield every named part of a request."""
    url = urlsplit(target)
    yield from (("query", name) for name, _ in parse_qsl(url.query))
    for name, value in headers.items():
        yield "headers", name
        if name == "anthropic-beta":
            yield from (("betas", beta.strip()) for beta in value.split(","))
    yield from _fields(body)
    for message in body.get("messages", ()):
        yield from _blocks(message["role"], message["content"])
    if not isinstance(body.get("system", ""), str):
        yield from _blocks("system prompt", body["system"])
    for tool in body.get("tools", ()):
        yield "tools", tool.get("type") or tool["name"]
        yield from (("tool fields", name) for name in tool)


def _fields(body: dict[str, Any]) -> Iterator[Part]:
    for name, value in body.items():
        yield "fields", name
        if name in ("thinking", "output_config", "metadata", "context_management", "tool_choice"):
            yield from (("fields", f"{name}.{inner}") for inner in value)
            if isinstance(value.get("type"), str):
                yield "fields", f"{name}.type={value['type']}"
        if name == "context_management":
            yield from (("fields", f"edits/{edit['type']}") for edit in value.get("edits", ()))


def _blocks(where: str, content: Any) -> Iterator[Part]:
    """Yield the types of blocks, with the types of the blocks and sources around and inside."""
    if isinstance(content, str):
        yield "blocks", f"{where}/string"
        return
    for block in content:
        place = f"{where}/{block['type']}"
        yield "blocks", place
        yield from (("block fields", f"{block['type']}.{name}") for name in block)
        if block["type"] == "tool_result" and block.get("content") is not None:
            yield from _blocks(place, block["content"])
        if isinstance(source := block.get("source"), dict):
            yield "blocks", f"{place} {source['type']} {source.get('media_type', '')}".strip()
