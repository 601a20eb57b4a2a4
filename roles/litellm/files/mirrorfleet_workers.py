"""How the workers of a gateway share its work, and how one of them goes.

All of them wait at one listening socket, and the first that wakes takes every connection that waits
there. Clients keep their connections, so of 16 that come at once one worker may have 16, and the
other nothing to do. So a worker that is asked several things at once ends a connection with its
answer now and then: the next request comes over a new one, which goes to whoever has time.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS), where there
are several.
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
"""Of so many answers of a busy worker, one ends its connection: enough to be even within a second.
A new connection for each request was measured to take a fifth of what a loaded gateway can do."""


def shared(served: ASGIApp) -> ASGIApp:
    """Return an application that gives connections up while it has several requests at hand."""
    at_hand = answers = 0

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal at_hand

        async def say(message: Message) -> None:
            nonlocal answers
            if message["type"] == "http.response.start" and at_hand > 1:
                answers += 1
                if answers % EVERY == 0:
                    message = {**message, "headers": [*message["headers"], CLOSE]}
            await send(message)

        at_hand += 1
        try:
            await served(scope, receive, say)
        finally:
            at_hand -= 1

    return answer


def install() -> None:
    """Share connections with the others, and leave as uvicorn needs it."""
    from litellm.proxy.proxy_server import app

    app.middleware_stack = shared(app.middleware_stack)
    if multiprocessing.parent_process() is not None:  # a worker of uvicorn's
        sys.exit = leave


def leave(code: object = None) -> NoReturn:
    """End a worker at once when its exit functions have run, in the place of sys.exit.

    uvicorn asks every worker for a sign of life twice a second, and waits a minute for it. Asked
    while Python takes itself apart, a recycled worker never gives it: for a minute, nobody came in
    its place.
    """
    if threading.current_thread() is not threading.main_thread():
        raise SystemExit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else bool(code))
