"""A small real MCP server, by the SDK in LiteLLM's environment. It records requests.

    python mcp_server.py PORT RECORD TOKEN

serves the tools `look` and `erase` at /mcp, and answers at /ready. It refuses requests without the
token, and appends the headers of each request to RECORD, as a line of JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer

_, port, record, token = sys.argv
server = MCPServer("shelf")


@server.tool()  # type: ignore[untyped-decorator]
def look(title: str) -> str:
    """Read a page of the handbook."""
    return f"{title}: wash your hands"


@server.tool()  # type: ignore[untyped-decorator]
def erase(title: str) -> str:
    """Remove a page of the handbook."""
    return f"{title}: gone"


inner = server.streamable_http_app(host="127.0.0.1", stateless_http=True)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Record and check a request."""
    if scope["type"] == "http" and scope["path"] == "/ready":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    if scope["type"] == "http":
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        with Path(record).open("a") as lines:
            lines.write(json.dumps(headers) + "\n")
        if token not in headers.values():
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
    await inner(scope, receive, send)


uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")
