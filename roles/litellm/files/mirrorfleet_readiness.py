"""Answer LiteLLM's /health/readiness with 503 while the gateway is draining.

Load balancers check readiness. A gateway is draining before it stops, and after its start until it
has passed its probe: readiness is 503, and requests that still arrive are served. The file named by
MIRRORFLEET_HELD makes all workers drain at once, also those that start meanwhile. It applies until
its modification time, which is in the future: so draining ends by itself if a run is cut.

LiteLLM's own /health/drain affects only the worker that answers, and never ends.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

READINESS = "/health/readiness"

DRAINING = os.environ.get("MIRRORFLEET_HELD", "")


def is_draining(path: str = DRAINING) -> bool:
    """Return whether load balancers must send no new requests now."""
    try:
        return Path(path).stat().st_mtime > time.time()
    except OSError:
        return False


def with_draining(app: ASGIApp) -> ASGIApp:
    """Return an application that is not ready while draining, and otherwise answers as ``app``."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != READINESS or not is_draining():
            await app(scope, receive, send)
            return
        status = 0

        async def send_failure(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            if status != 200:
                await send(message)

        await app(scope, receive, send_failure)
        if status == 200:
            body = json.dumps({"status": "draining"}).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return answer


def install() -> None:
    """Answer readiness before LiteLLM. Raises ``RuntimeError``, so that the worker stops."""
    from litellm.proxy.proxy_server import app

    if app.middleware_stack is None:
        raise RuntimeError("LiteLLM calls its startup hooks before it builds its middleware")
    app.middleware_stack = with_draining(app.middleware_stack)
