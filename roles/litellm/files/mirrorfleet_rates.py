"""Count turns: those of the last minute, and those that run now.

With Redis, the counts are those of all workers and gateways, and exact. A running turn has a lease
there, which its worker renews: the turns of a killed worker stop counting after ``LEASE`` seconds.
While Redis is away, each worker counts its own turns, also those from before.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_limits_file import Limit
    from mirrorfleet.roles.litellm.files.mirrorfleet_shared_redis import SharedRedis
else:
    from mirrorfleet_limits_file import Limit
    from mirrorfleet_shared_redis import SharedRedis

MINUTE = 60.0
"""Seconds that a turn counts for ``requests_per_minute``."""

LEASE = 30.0
"""Seconds that a running turn counts without a renewal."""

RENEWAL = 10.0
"""Seconds between renewals."""


class Exceeded(NamedTuple):
    """The limit that a turn would exceed, and the seconds until it may fit again."""

    limit: Limit
    is_rate: bool
    wait: float


# The clock is that of Redis, so that the clocks of the gateways do not matter. Times are in
# milliseconds. An entry of a sorted set is a turn: of its start, or of the end of its lease.
ADMIT = """
local seconds, micros = unpack(redis.call('TIME'))
local now = seconds * 1000 + math.floor(micros / 1000)
local turn, minute, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 1, #KEYS do  -- the same call again, because its first answer was lost
    if redis.call('ZSCORE', KEYS[i], turn) then return {0, 0} end
end
local found, longest = 0, -1
for i = 1, #KEYS, 2 do
    local rate, parallel = tonumber(ARGV[3 + i]), tonumber(ARGV[4 + i])
    if rate > 0 then
        redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - minute)
        local count = redis.call('ZCARD', KEYS[i])
        if count >= rate then
            local oldest = redis.call('ZRANGE', KEYS[i], count - rate, count - rate, 'WITHSCORES')
            local wait = oldest[2] + minute - now
            if wait > longest then found, longest = i, wait end
        end
    end
    if parallel > 0 then
        redis.call('ZREMRANGEBYSCORE', KEYS[i + 1], '-inf', now)
        if redis.call('ZCARD', KEYS[i + 1]) >= parallel and longest < 0 then
            found, longest = i + 1, 0
        end
    end
end
if found > 0 then return {found, longest} end
for i = 1, #KEYS, 2 do
    if tonumber(ARGV[3 + i]) > 0 then
        redis.call('ZADD', KEYS[i], now, turn)
        redis.call('PEXPIRE', KEYS[i], minute)
    end
    if tonumber(ARGV[4 + i]) > 0 then
        redis.call('ZADD', KEYS[i + 1], now + lease, turn)
        redis.call('PEXPIRE', KEYS[i + 1], lease)
    end
end
return {0, 0}
"""

RELEASE = """
for i = 1, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
return 1
"""

RENEW = """
local seconds, micros = unpack(redis.call('TIME'))
local now = seconds * 1000 + math.floor(micros / 1000)
for i = 1, #KEYS do
    redis.call('ZADD', KEYS[i], now + ARGV[#KEYS + 1], ARGV[i])
    redis.call('PEXPIRE', KEYS[i], ARGV[#KEYS + 1])
end
return 1
"""


class LocalCounts:
    """The turns of this worker."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._starts: dict[str, deque[float]] = {}
        self._running: dict[str, set[str]] = {}

    def exceeded(self, limits: Sequence[Limit]) -> Exceeded | None:
        """Return the limit that one more turn would exceed, the longest wait first."""
        found = [each for limit in limits for each in self._of(limit)]
        return max(found, key=lambda each: each.wait, default=None)

    def _of(self, limit: Limit) -> list[Exceeded]:
        starts, now, found = self._starts.get(limit.subject, deque()), self._clock(), []
        while starts and starts[0] <= now - MINUTE:
            starts.popleft()
        rate = limit.requests_per_minute
        if rate and len(starts) >= rate:
            found.append(Exceeded(limit, True, starts[len(starts) - rate] + MINUTE - now))
        if limit.parallel and len(self._running.get(limit.subject, ())) >= limit.parallel:
            found.append(Exceeded(limit, False, 0))
        return found

    def add(self, turn: str, limits: Sequence[Limit]) -> None:
        """Count a turn that starts."""
        for limit in limits:
            if limit.requests_per_minute:
                starts = self._starts.setdefault(limit.subject, deque())
                starts.append(self._clock())
                while len(starts) > limit.requests_per_minute:
                    starts.popleft()
            if limit.parallel:
                self._running.setdefault(limit.subject, set()).add(turn)

    def remove(self, turn: str, limits: Sequence[Limit]) -> None:
        """Count a turn that has ended."""
        for limit in limits:
            self._running.get(limit.subject, set()).discard(turn)

    def running(self) -> list[tuple[str, str]]:
        """Return the subject and the turn of all turns that run."""
        return [(subject, turn) for subject, turns in self._running.items() for turn in turns]


class Rates:
    """The turns of all workers and gateways, or of this worker without Redis."""

    def __init__(self, redis: SharedRedis | None) -> None:
        self._redis = redis
        self._local = LocalCounts()
        self._lock = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    async def admit(self, turn: str, limits: Sequence[Limit]) -> Exceeded | None:
        """Count a turn, or return the limit that it would exceed. ``release`` it afterwards."""
        # What this worker alone exceeds needs no Redis: neither its time nor its answer.
        exceeded = self._local.exceeded(limits)
        if exceeded is None and self._redis:
            exceeded = await self._shared(self._redis, turn, limits)
        if exceeded is None:
            self._local.add(turn, limits)
        return exceeded

    async def _shared(
        self, redis: SharedRedis, turn: str, limits: Sequence[Limit]
    ) -> Exceeded | None:
        keys = [key for limit in limits for key in _keys(limit.subject)]
        values = [value or 0 for limit in limits for value in limit[1:]]
        milliseconds = [int(MINUTE * 1000), int(LEASE * 1000)]
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew(redis))
        reply = await redis.run(ADMIT, keys, [turn, *milliseconds, *values])
        if reply is None or not reply[0]:
            return None
        number, is_parallel = divmod(int(reply[0]) - 1, 2)
        return Exceeded(limits[number], not is_parallel, int(reply[1]) / 1000)

    async def release(self, turn: str, limits: Sequence[Limit]) -> None:
        """Count a turn that has ended."""
        self._local.remove(turn, limits)
        keys = [_keys(limit.subject)[1] for limit in limits if limit.parallel]
        if keys and self._redis:
            async with self._lock:
                await self._redis.run(RELEASE, keys, [turn])

    async def _renew(self, redis: SharedRedis) -> None:
        """Renew the leases of running turns, also in a Redis that has lost them."""
        while True:
            await asyncio.sleep(RENEWAL)
            # The lock: a renewal after the release of a turn would count it for another lease.
            async with self._lock:
                if running := self._local.running():
                    keys = [_keys(subject)[1] for subject, _ in running]
                    turns = [turn for _, turn in running]
                    await redis.run(RENEW, keys, [*turns, int(LEASE * 1000)])


def _keys(subject: str) -> tuple[str, str]:
    return f"rate:{subject}", f"parallel:{subject}"
