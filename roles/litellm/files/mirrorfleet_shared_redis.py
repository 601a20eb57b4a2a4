"""The Redis that the workers and gateways of a fleet share, or its absence for a while.

MIRRORFLEET_REDIS is its URL, MIRRORFLEET_FLEET the name of the fleet, which begins every key.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from typing import Any

from prometheus_client import Counter

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own: the same level and JSON format

AWAY = Counter("mirrorfleet_redis_errors", "Failed calls of Redis: limits are counted locally")

PATIENCE = 3.0
"""Seconds that a call of Redis may take. A limit is not exact if it takes longer."""

CONNECTIONS = 16
"""Most connections of a worker: turns that start at once wait for one, instead of opening more."""

PAUSE = 2.0
"""Seconds without a call after a failed one: turns do not wait for a Redis that is away."""


class SharedRedis:
    """A connection that gives None instead of an error."""

    def __init__(self, url: str, fleet: str) -> None:
        self._url = url
        # The braces keep the keys of a script on one node of a Redis cluster.
        self._prefix = f"{{mirrorfleet:{fleet}}}:"
        self._scripts: dict[str, Any] = {}
        self._client: Any = None
        self._away_until = 0.0
        self._is_away = False

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a Lua script, and return its result; None while Redis does not answer."""
        from redis.exceptions import RedisError

        if time.monotonic() < self._away_until:
            return None
        try:
            if script not in self._scripts:
                self._scripts[script] = self._connection().register_script(script)
            prefixed = [self._prefix + key for key in keys]
            result = await self._scripts[script](keys=prefixed, args=list(arguments))
        except (RedisError, OSError) as error:
            AWAY.inc()
            if not self._is_away:
                log.error("mirrorfleet: Redis is away, limits are counted locally: %r", error)
            self._is_away, self._away_until = True, time.monotonic() + PAUSE
            return None
        if self._is_away:
            log.error("mirrorfleet: Redis is back")
        self._is_away = False
        return result

    def _connection(self) -> Any:
        if self._client is None:
            from redis.asyncio import BlockingConnectionPool, Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff

            pool = BlockingConnectionPool.from_url(
                self._url,
                max_connections=CONNECTIONS,
                timeout=PATIENCE,
                decode_responses=True,
                socket_timeout=PATIENCE,
                socket_connect_timeout=PATIENCE,
                # A connection of before a restart of Redis fails once.
                retry=Retry(NoBackoff(), 1),
            )
            self._client = Redis(connection_pool=pool)
        return self._client


def shared() -> SharedRedis | None:
    """Return the gateway's Redis; None if it has none."""
    url = os.environ.get("MIRRORFLEET_REDIS")
    return SharedRedis(url, os.environ["MIRRORFLEET_FLEET"]) if url else None
