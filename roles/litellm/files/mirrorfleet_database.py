"""Change how LiteLLM starts and serves with a database.

    python3 mirrorfleet_database.py ARGUMENTS    instead of LiteLLM's own command

starts LiteLLM without its comparison of tables, which passes the database's URL with the password
to a command as an argument. check_config.py has checked the tables before.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS). Then an
unreachable database makes no gateway unready, and workers start without it: developers' keys do not
need it. Otherwise a load balancer that checks readiness would take all gateways out of service at
once.

If a release of LiteLLM has removed a name that this module replaces, the start fails, and the
gateway is not switched.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal

import mirrorfleet_worker_recycling

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own: the same level and JSON format

PAUSE = 60.0
"""Average seconds between two attempts to connect to the database."""


def install() -> None:
    """Make readiness and the start independent of the database. Raises ``RuntimeError``.

    LiteLLM's setting allow_requests_on_db_unavailable has a larger scope: it would accept any key
    while the database is unreachable.
    """
    from litellm.proxy import proxy_server
    from litellm.proxy.health_endpoints import _health_endpoints as endpoints

    original = endpoints.PrismaDBExceptionHandler
    replaced = ("should_allow_request_on_db_unavailable", "handle_db_exception")
    if not all(hasattr(original, name) for name in replaced) or (
        proxy_server.PrismaDBExceptionHandler is not original
    ):
        raise RuntimeError("this release of LiteLLM handles database errors in another way")

    class Serving(original):  # type: ignore[misc, valid-type]
        @staticmethod
        def should_allow_request_on_db_unavailable() -> bool:
            return True

    class Starting(original):  # type: ignore[misc, valid-type]
        @staticmethod
        def handle_db_exception(error: Exception) -> None:
            """Let LiteLLM start without a database, if it cannot connect to it."""
            if not original.is_database_connection_error(error):
                raise error
            log.error("mirrorfleet: the database is unreachable: virtual keys are rejected")
            _tasks.append(asyncio.get_running_loop().create_task(_restart_with_database()))

    endpoints.PrismaDBExceptionHandler = Serving
    proxy_server.PrismaDBExceptionHandler = Starting


_tasks: list[asyncio.Task[None]] = []


async def _restart_with_database() -> None:
    """End this worker after its turns once the database is reachable; uvicorn starts another one.

    LiteLLM starts its parts that need the database only when a worker starts.
    """
    from litellm.proxy import proxy_server

    while proxy_server.prisma_client is None:  # LiteLLM itself reconnects one that it has
        await asyncio.sleep(random.uniform(0, 2 * PAUSE))
        if not await _is_reachable():
            continue
        lock = await mirrorfleet_worker_recycling.wait_for_lock()
        if await _is_reachable():
            log.error("mirrorfleet: the database is reachable again: this worker restarts")
            os.kill(os.getpid(), signal.SIGTERM)
            return
        os.close(lock)


async def _is_reachable() -> bool:
    from prisma import Prisma

    try:
        client = Prisma()
        await client.connect()
        await client.disconnect()
    except Exception as error:  # its text may hold the URL
        log.warning("mirrorfleet: the database is still unreachable (%s)", type(error).__name__)
        return False
    return True


def main() -> None:
    from litellm import run_server
    from litellm.proxy.db import check_migration

    if not hasattr(check_migration, "check_prisma_schema_diff"):
        raise RuntimeError("this release of LiteLLM compares its tables in another way")
    check_migration.check_prisma_schema_diff = lambda db_url=None: None
    run_server()


if __name__ == "__main__":  # workers load this file as a module
    main()
