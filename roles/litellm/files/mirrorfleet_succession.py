"""How workers that end on purpose follow each other: one at a time, a minute apart.

A worker takes no turns from its end until another one has started in its place. All of a gateway's
at once would be the whole gateway; and workers that share their work evenly come to
max_requests_before_restart together.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS), where workers
are recycled. A uvicorn without the names that it replaces stops the start.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uvicorn import Server

    Tick = Callable[[Server, int], Awaitable[bool]]

log = logging.getLogger("uvicorn.error")  # which tells of each worker's start as well

PAUSE = 10.0
"""Seconds between two looks whether another worker is still at its end, on average."""

SETTLE = 60.0
"""Seconds after which whoever came in the place of a worker serves; 6 to 16 were measured."""

LOCK = __file__
"""Locked by the one worker of this gateway that is to end. Nothing has to be written for it."""


async def turn() -> int:
    """Wait until this worker may end. Returned is what keeps the others from it until it is closed.

    Nobody closes it but who stays after all: that a worker is gone, with however long its turns
    took, is what the next one waits for.
    """
    while (lock := _lock()) is None:
        await asyncio.sleep(random.uniform(0, 2 * PAUSE))
    await asyncio.sleep(SETTLE)
    return lock


def _lock() -> int | None:
    lock = os.open(LOCK, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def install() -> None:
    """Let a worker that has answered its share go on until its turn to end has come."""
    from uvicorn import Server

    if not hasattr(Server, "limit_max_requests"):
        raise RuntimeError("this release of uvicorn ends its workers in another way")
    Server.on_tick = in_turn(Server.on_tick)


def in_turn(on_tick: Tick) -> Tick:
    """Return uvicorn's look, ten times a second, whether to end: at its limit, in its turn only."""
    ends: list[asyncio.Task[None]] = []

    async def end(server: Server) -> None:
        await turn()
        log.info("mirrorfleet: this worker has answered its requests, and ends for another one")
        server.should_exit = True

    async def look(server: Server, count: int) -> bool:
        limit = server.limit_max_requests
        if limit is not None and server.server_state.total_requests >= limit:
            server.limit_max_requests = None  # with it, uvicorn would end now
            ends.append(asyncio.create_task(end(server)))
        return await on_tick(server, count)

    return look
