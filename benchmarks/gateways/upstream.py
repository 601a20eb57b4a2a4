"""A stand-in for an engine: it answers at once with a fixed text.

    PYTHON -m benchmarks.gateways.upstream PORT

Run by the Python of a gateway's environment, which has aiohttp and uvloop. It has two APIs of vLLM:
/v1/messages and /v1/chat/completions, streamed and not. Streams have one write per token, as from
an engine, but without pauses.
"""

from __future__ import annotations

import json
import sys

import uvloop
from aiohttp import web

from benchmarks.gateways.answers import ANSWERS


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer a request to either API, with any prefix in the path."""
    whole, parts = ANSWERS[request.path.rsplit("/", 1)[-1]]
    if not json.loads(await request.read()).get("stream"):
        return web.Response(body=whole, content_type="application/json")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for part in parts:
        await response.write(part)
    return response


async def ready(_: web.Request) -> web.Response:
    """Answer a request for readiness."""
    return web.Response()


def main(port: int) -> None:
    """Serve until the process ends."""
    uvloop.install()
    application = web.Application(client_max_size=2**30)
    application.router.add_get("/", ready)
    application.router.add_post("/{path:.*}", answer)
    web.run_app(application, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
