"""MCP servers that developers reach through the gateways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mirrorfleet.config.litellm import Values, values
from mirrorfleet.config.reader import Secret, Section


@dataclass(frozen=True)
class McpServer:
    """A server at a URL. ``key`` is sent as a bearer token. Empty ``tools`` stand for all."""

    name: str
    url: str
    transport: Literal["http", "sse"]
    key: Secret | None
    headers: Values
    tools: tuple[str, ...]


def mcp_servers(section: Section) -> tuple[McpServer, ...]:
    """Read ``gateway.mcp_servers``."""
    return tuple(map(_server, section.mapping("mcp_servers").mappings()))


def _server(section: Section) -> McpServer:
    return McpServer(
        name=section.name,
        url=section["url"],
        transport=section["transport"],
        key=section.secret("key"),
        headers=values(section.mapping("headers")),
        tools=section.strings("tools"),
    )
