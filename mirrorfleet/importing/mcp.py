"""MCP servers of LiteLLM's configuration."""

from __future__ import annotations

import re

from mirrorfleet.config.problems import Key
from mirrorfleet.importing import gateway
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.hidden import Hidden, referred
from mirrorfleet.importing.litellm_models import URL
from mirrorfleet.importing.nodes import Node

HEADERS = {"api_key": "X-API-Key", "authorization": "Authorization"}
"""The header in which LiteLLM sends the value of each kind of authentication as it is."""


def servers(draft: Draft, section: Node) -> None:
    """Take the servers at URLs with a fixed key or none; a group of developers lists its own."""
    for name, node in section.items.items():
        url, kind = node.get("url"), node.get("auth_type")
        if url is None:
            draft.leave(node, "a program (stdio) would run beside the keys of the gateway")
            continue
        if not URL.fullmatch(url.text):
            draft.leave(node, "its url must be written itself: a whole http URL", Fate.OPEN)
            continue
        if kind and kind.text not in ("none", "bearer_token", *HEADERS):
            draft.leave(node, f"gateways have no authentication of the kind {kind.text}", Fate.OPEN)
            continue
        _server(draft, _name(draft, name), node, url, kind)


def _name(draft: Draft, name: str) -> str:
    """Return a free name of a server: LiteLLM allows more of them in its configuration."""
    base = re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")[:28]
    base = base if base[:1].isalpha() else f"mcp_{base}"
    found, number = base, 2
    while draft.get("gateway", "mcp_servers", found) is not None:
        found, number = f"{base}_{number}", number + 1
    return found


def _server(draft: Draft, name: str, node: Node, url: Node, kind: Node | None) -> None:
    key: Key = ("gateway", "mcp_servers", name)
    draft.take(url, (*key, "url"), url.text)
    transport = node.get("transport")
    if transport and transport.text == "sse":
        draft.take(transport, (*key, "transport"), "sse")
    elif transport and transport.text == "http":
        draft.leave(transport, "the default of the fleet file", Fate.DERIVED)
    value = node.get("auth_value") or node.get("authentication_token")
    if value and kind and kind.text != "none":
        target = ("headers", HEADERS[kind.text]) if kind.text in HEADERS else ("key",)
        gateway.secret(draft, (*key, *target), value, f"MCP_{name.upper()}_KEY")
        draft.leave(kind, "the key or header says it", Fate.DERIVED)
    headers = node.get("static_headers")
    for header, text in headers.items.items() if headers else ():
        if isinstance(text.value, Hidden) or referred(text.value):
            variable = re.sub(r"\W", "_", f"MCP_{name}_{header}".upper())
            gateway.secret(draft, (*key, "headers", header), text, variable)
        elif text.text and re.fullmatch("[A-Za-z0-9-]+", header):
            draft.take(text, (*key, "headers", header), text.text)
    tools = node.get("allowed_tools")
    names = [tool.text for tool in tools.list if tool.text] if tools else []
    if tools and names:
        draft.take(tools, (*key, "tools"), list(dict.fromkeys(names)))
    draft.leave(node.get("server_id"), "the name of the server", Fate.DERIVED)
    draft.leave(kind, "no key is asked for", Fate.DERIVED)
    draft.leave(node, "gateway.mcp_servers has no such key")
