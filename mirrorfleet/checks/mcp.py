"""MCP servers that no developer reaches, or that would get a key without TLS."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import literals
from mirrorfleet.config import Fleet, Gateway
from mirrorfleet.config.mcp import McpServer
from mirrorfleet.config.problems import Key, Problem

KEY: Key = ("gateway", "mcp_servers")

AUTHORIZATION = "authorization"


def problems(fleet: Fleet) -> Iterator[Problem]:
    if fleet.gateway:
        for server in fleet.gateway.mcp_servers:
            yield from _key(fleet, server)
            yield from literals.problems(fleet, (*KEY, server.name, "headers"), server.headers)
        yield from _unused(fleet, fleet.gateway)


def _key(fleet: Fleet, server: McpServer) -> Iterator[Problem]:
    key = (*KEY, server.name)
    for name in server.headers:
        if server.key and name.lower() == AUTHORIZATION:
            yield fleet.document.problem(
                (*key, "headers", name),
                "conflicts with 'key', which is sent in the same header.",
                "Remove one of them.",
            )
    is_secret = server.key or any(map(literals.is_secret_name, server.headers))
    if is_secret and server.url.startswith("http://"):
        yield fleet.document.warning(
            (*key, "url"),
            "is without TLS: the key would be sent unencrypted.",
            "Write an https URL.",
        )


def _unused(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    used = {name for group in fleet.developers.values() for name in group.mcp_servers}
    for server in gateway.mcp_servers:
        if server.name not in used:
            yield fleet.document.warning(
                (*KEY, server.name),
                "is not used: no group of developers has it.",
                f"Add mcp_servers: [{server.name}] to a group, or remove it.",
                given=(("developers",),),
            )
