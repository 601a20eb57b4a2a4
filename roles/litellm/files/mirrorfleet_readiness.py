"""Whether this gateway takes turns: LiteLLM's /health/readiness, kept at 503 while a file says so.

Load balancers ask for readiness. Before a gateway stops, and after its start until it has proved
itself, it is held: it says 503 there and goes on to serve whatever comes. The file named by
MIRRORFLEET_HELD holds all workers at once, those among them that are only just started. It counts
until the time of its last change, which lies in the future: a hold that nobody ends ends by itself.

Not LiteLLM's own /health/drain: it holds only the worker that happens to answer, and for good.

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

HELD = os.environ.get("MIRRORFLEET_HELD", "")


def is_held(path: str = HELD) -> bool:
    """Is the gateway to be left alone by load balancers now?"""
    try:
        return Path(path).stat().st_mtime > time.time()
    except OSError:
        return False


def held(served: ASGIApp) -> ASGIApp:
    """Return an application that is never ready while it is held, and else the one that it is."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != READINESS or not is_held():
            await served(scope, receive, send)
            return
        status = 0

        async def change(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            if status != 200:
                await send(message)

        await served(scope, receive, change)
        if status == 200:
            body = json.dumps({"status": "held"}).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return answer


def install() -> None:
    """Stand before all of LiteLLM in this worker; where that cannot be, it does not start."""
    from litellm.proxy.proxy_server import app

    if app.middleware_stack is None:
        raise RuntimeError("LiteLLM calls its startup hooks before it is put together")
    app.middleware_stack = held(app.middleware_stack)
