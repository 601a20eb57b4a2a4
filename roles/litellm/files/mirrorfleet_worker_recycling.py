"""Recycle the workers of a gateway one at a time, at least a minute apart.

Between the end of a worker and the start of its replacement, its share of the turns is not served.
If all workers ended at once, the gateway would be down; and workers with an even load reach
max_requests_before_restart together.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS), if workers
are recycled. The start fails if uvicorn does not have the names that this module replaces.
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

log = logging.getLogger("uvicorn.error")  # which also logs the start of each worker

PAUSE = 10.0
"""Average seconds between two attempts to get the lock."""

SETTLE = 60.0
"""Seconds until the replacement of a worker serves; 6 to 16 were measured."""

LOCK = __file__
"""The file that the worker that ends next has locked: this one, so that none must be created."""


async def wait_for_lock() -> int:
    """Wait until this worker may end, and return the file descriptor of the lock.

    Close it only if the worker does not end. Otherwise the lock must last as long as the process:
    the next worker waits until this one has finished its turns.
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
    """Let a worker at its limit serve on until it has the lock. Raises ``RuntimeError``."""
    from uvicorn import Server

    if not hasattr(Server, "limit_max_requests"):
        raise RuntimeError("this release of uvicorn ends its workers in another way")
    Server.on_tick = rolling(Server.on_tick)


def rolling(on_tick: Tick) -> Tick:
    """Return uvicorn's check whether to end, ten times a second: at the limit, with the lock."""
    tasks: list[asyncio.Task[None]] = []

    async def end(server: Server) -> None:
        await wait_for_lock()
        log.info("mirrorfleet: this worker has reached its limit of requests: it is recycled")
        server.should_exit = True

    async def check(server: Server, count: int) -> bool:
        limit = server.limit_max_requests
        if limit is not None and server.server_state.total_requests >= limit:
            server.limit_max_requests = None  # otherwise uvicorn would end now
            tasks.append(asyncio.create_task(end(server)))
        return await on_tick(server, count)

    return check
