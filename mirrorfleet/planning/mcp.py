"""The MCP servers of a group, as Claude Code connects to them."""

from __future__ import annotations

from typing import Any

from mirrorfleet.config import Developers, Fleet
from mirrorfleet.config.problems import checked
from mirrorfleet.planning.connection import gateway_url, key_helper


def mcp_servers(fleet: Fleet, group: Developers) -> dict[str, Any]:
    """Return `mcpServers` of .claude.json: the servers of a group, at the gateway."""
    if not group.mcp_servers:
        return {}
    url = gateway_url(fleet, checked(fleet.gateway, "gateway"))
    # The command that prints the headers of a request: no setting has the gateway key itself.
    helper = f"""printf '{{"Authorization": "Bearer %s"}}' "$({key_helper(group)})\""""
    return {
        name: {"type": "http", "url": f"{url}/mcp/{name}", "headersHelper": helper}
        for name in group.mcp_servers
    }
