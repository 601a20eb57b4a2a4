"""What of LiteLLM must be otherwise where it has a database.

    python3 mirrorfleet_database.py ARGUMENTS    in the place of LiteLLM's own command

starts it without a comparison of its tables with the database: that gives the database's URL, and
the password in it, to a command as an argument. The tables are right already (check.py).

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS): a database
that is away makes no gateway unready, and keeps no worker from its start. Developers' keys do not
need it, and a front door that asks for readiness would shut them out as well, on all gateways at
once.

A name that a release of LiteLLM has no more stops the start, and with it the switch.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal

import mirrorfleet_succession

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own, so that level and JSON format are its

PAUSE = 60.0
"""Seconds between two looks for a database that was away, on average."""


def install() -> None:
    """Let readiness tell of the database, and the start look for it, but neither depend on it.

    For these two alone: said for all of LiteLLM (allow_requests_on_db_unavailable), it would let
    in any key while the database is away.
    """
    from litellm.proxy import proxy_server
    from litellm.proxy.health_endpoints import _health_endpoints as endpoints

    original = endpoints.PrismaDBExceptionHandler
    replaced = ("should_allow_request_on_db_unavailable", "handle_db_exception")
    if not all(hasattr(original, name) for name in replaced) or (
        proxy_server.PrismaDBExceptionHandler is not original
    ):
        raise RuntimeError("this release of LiteLLM handles errors of its database in another way")

    class Serving(original):  # type: ignore[misc, valid-type]
        @staticmethod
        def should_allow_request_on_db_unavailable() -> bool:
            return True

    class Starting(original):  # type: ignore[misc, valid-type]
        @staticmethod
        def handle_db_exception(error: Exception) -> None:
            """Called when the start has found no database: LiteLLM goes on without any."""
            if not original.is_database_connection_error(error):
                raise error
            log.error("mirrorfleet: the database is away; until it is back, no key of LiteLLM's")
            _tasks.append(asyncio.get_running_loop().create_task(_return()))

    endpoints.PrismaDBExceptionHandler = Serving
    proxy_server.PrismaDBExceptionHandler = Starting


_tasks: list[asyncio.Task[None]] = []


async def _return() -> None:
    """End this worker, its turns first, when the database is back: another one comes, with it.

    What LiteLLM starts with a database it starts at no other time.
    """
    from litellm.proxy import proxy_server

    while proxy_server.prisma_client is None:  # LiteLLM itself looks after one that it has
        await asyncio.sleep(random.uniform(0, 2 * PAUSE))
        if not await _is_back():
            continue
        lock = await mirrorfleet_succession.turn()
        if await _is_back():
            log.error("mirrorfleet: the database is back; this worker ends, for another one")
            os.kill(os.getpid(), signal.SIGTERM)
            return
        os.close(lock)


async def _is_back() -> bool:
    from prisma import Prisma

    try:
        client = Prisma()
        await client.connect()
        await client.disconnect()
    except Exception as error:  # whose text may hold the URL
        log.warning("mirrorfleet: the database is still away (%s)", type(error).__name__)
        return False
    return True


def main() -> None:
    from litellm import run_server
    from litellm.proxy.db import check_migration

    if not hasattr(check_migration, "check_prisma_schema_diff"):
        raise RuntimeError("this release of LiteLLM checks its tables in another way")
    check_migration.check_prisma_schema_diff = lambda db_url=None: None
    run_server()


if __name__ == "__main__":  # not in the workers, which load this file as well
    main()
