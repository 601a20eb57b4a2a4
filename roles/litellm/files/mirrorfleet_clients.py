"""What the keys of a group open besides the paths of Claude Code, as `clients.json` lists it.

    {"openai": ["research"], "mcp": {"research": ["docs"], "team": ["docs", "tickets"]}}

Without this file, no key opens more. Groups that are not listed have nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OPENAI = frozenset({"/v1/chat/completions", "/v1/responses", "/v1/embeddings"})
"""The paths of OpenAI's API."""

MCP = "/mcp/"
"""The prefix of the paths of MCP servers; the name of a server follows."""


class Clients:
    """The content of clients.json."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._openai = frozenset(content["openai"])
        self._mcp: dict[str, list[str]] = content["mcp"]

    def opens(self, group: str, path: str) -> bool:
        """Return whether the keys of a group open a path."""
        if path.startswith(MCP):
            return path.removeprefix(MCP) in self.mcp_servers(group)
        return path in OPENAI and group in self._openai

    def mcp_servers(self, group: str) -> list[str]:
        """Return the MCP servers of a group."""
        return self._mcp.get(group, [])


def _clients(path: Path) -> Clients:
    if not path.exists():
        return Clients({"openai": [], "mcp": {}})
    return Clients(json.loads(path.read_text(encoding="utf-8")))


clients = _clients(Path(__file__).with_name("clients.json"))
