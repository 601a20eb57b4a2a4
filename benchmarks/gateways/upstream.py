"""A stand-in for an engine: it answers at once, and always the same.

    PYTHON -m benchmarks.gateways.upstream PORT

Run by the Python of a gateway's environment, which has aiohttp and uvloop. It has vLLM's two ways
to ask: /v1/messages and /v1/chat/completions, streamed and not. What is streamed goes out in one
write per token, as an engine sends it, but without a pause.
"""

from __future__ import annotations

import json
import sys

import uvloop
from aiohttp import web

from benchmarks.gateways.answers import ANSWERS


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer a question of either kind, whatever stands before it in the path."""
    whole, parts = ANSWERS[request.path.rsplit("/", 1)[-1]]
    if not json.loads(await request.read()).get("stream"):
        return web.Response(body=whole, content_type="application/json")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for part in parts:
        await response.write(part)
    return response


async def ready(_: web.Request) -> web.Response:
    return web.Response()


def main(port: int) -> None:
    """Serve until the process is ended."""
    uvloop.install()
    application = web.Application(client_max_size=2**30)
    application.router.add_get("/", ready)
    application.router.add_post("/{path:.*}", answer)
    web.run_app(application, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
