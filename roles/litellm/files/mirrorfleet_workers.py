"""Balance connections between the workers of a gateway, and end a worker without delay.

All workers wait on one listening socket, and the first that wakes accepts every waiting connection.
Clients keep connections open, so one worker may get all of 16 simultaneous connections, and the
others none. So a worker with several concurrent requests closes a connection now and then after its
response: the client's next request opens a new one, which an idle worker accepts.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS), if there are
several.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLOSE = (b"connection", b"close")

EVERY = 8
"""A busy worker closes one connection per this number of responses: enough to balance the load
within a second. A new connection for every request was measured to cost a fifth of the throughput.
"""


def balanced(app: ASGIApp) -> ASGIApp:
    """Return an application that closes some connections while it has concurrent requests."""
    concurrent = responses = 0

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal concurrent

        async def send_closing(message: Message) -> None:
            nonlocal responses
            if message["type"] == "http.response.start" and concurrent > 1:
                responses += 1
                if responses % EVERY == 0:
                    message = {**message, "headers": [*message["headers"], CLOSE]}
            await send(message)

        concurrent += 1
        try:
            await app(scope, receive, send_closing)
        finally:
            concurrent -= 1

    return answer


def install() -> None:
    """Balance the connections of this worker, and replace sys.exit."""
    from litellm.proxy.proxy_server import app

    app.middleware_stack = balanced(app.middleware_stack)
    if multiprocessing.parent_process() is not None:  # a worker of uvicorn's
        sys.exit = exit_now


def exit_now(code: object = None) -> NoReturn:
    """Run the exit functions and end the process at once; replaces sys.exit in a worker.

    uvicorn pings every worker twice a second, and waits a minute for the reply. A recycled worker
    does not reply during the finalization of Python, so its replacement started a minute late.
    """
    if threading.current_thread() is not threading.main_thread():
        raise SystemExit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else bool(code))
