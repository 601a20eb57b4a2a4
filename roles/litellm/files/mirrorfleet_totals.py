"""What a fleet's turns have used of its budgets: this gateway's part, and that of the others.

Each gateway publishes in Redis how much its own turns have used: an amount of its ledger,
not an increment. So a Redis that was away, or lost everything, is complete again within seconds,
and a part that a gateway published is not lost with its disk. While Redis is away, the last known
amounts of the others count.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_limits_file import Budget
    from mirrorfleet.roles.litellm.files.mirrorfleet_shared_redis import SharedRedis
    from mirrorfleet.roles.litellm.files.mirrorfleet_spending import Spending
else:
    from mirrorfleet_limits_file import Budget
    from mirrorfleet_shared_redis import SharedRedis
    from mirrorfleet_spending import Spending

PAUSE = 1.0
"""Seconds between two publications of changed amounts."""

COMPLETE = 10
"""Of so many publications, one has all amounts: Redis may have lost them."""

CHUNK = 200
"""Most amounts in one call of Redis, which serves no other client meanwhile."""

KEPT = 86_400
"""Seconds that an amount stays in Redis after its period: for gateways whose clock is late."""

# For each key: the stored amount of this gateway, or its own if that is larger, and the others'.
SHARE = """
local found = {}
for i = 1, #KEYS do
    local own = ARGV[2 * i]
    local stored = redis.call('HGET', KEYS[i], ARGV[1])
    if stored and tonumber(stored) >= tonumber(own) then
        own = stored
    elseif tonumber(own) > 0 then
        redis.call('HSET', KEYS[i], ARGV[1], own)
        redis.call('EXPIREAT', KEYS[i], ARGV[2 * i + 1])
    end
    local others, fields = 0, redis.call('HGETALL', KEYS[i])
    for j = 1, #fields, 2 do
        if fields[j] ~= ARGV[1] then others = others + tonumber(fields[j + 1]) end
    end
    found[2 * i - 1], found[2 * i] = own, string.format('%.17g', others)
end
return found
"""

Counted = tuple[Budget, str]
"""A budget, and the name of the person, group or model that uses it, as in the ledger."""


class Part(NamedTuple):
    """The amount that this gateway's turns have used, its key in Redis, and its period."""

    key: str
    start: int
    end: int
    amount: float


class Known(NamedTuple):
    """Amounts in Redis: that of this gateway, and the sum of the others."""

    own: float = 0.0
    others: float = 0.0


class Totals:
    """The amounts of all gateways."""

    def __init__(self, spending: Spending, redis: SharedRedis | None, gateway: str) -> None:
        self.spending = spending
        self._redis = redis
        self._gateway = gateway
        self._known: dict[int, dict[str, Known]] = {}  # by the start of their period

    async def of(self, counted: Sequence[Counted]) -> list[float]:
        """Return what each of some people, groups or models has used of a budget."""
        parts = [self._part(*each) for each in counted]
        await self._share(parts)
        known = [self._known.get(part.start, {}).get(part.key, Known()) for part in parts]
        pairs = zip(parts, known, strict=True)
        return [max(part.amount, found.own) + found.others for part, found in pairs]

    async def publish(self, everything: bool) -> None:
        """Publish the amounts that have changed, or all of them."""
        changed = self.spending.changed()
        amounts = self.spending.amounts()
        if everything:
            changed = {(budget, name) for budget, names in amounts.items() for name in names}
        current = {int(self.spending.period(budget).start) for budget in amounts}
        parts = [self._part(*each) for each in changed]
        for at in range(0, len(parts), CHUNK):
            await self._share(parts[at : at + CHUNK])
        self._known = {start: known for start, known in self._known.items() if start in current}

    async def _share(self, parts: Sequence[Part]) -> None:
        """Publish amounts, and read those of the others, if Redis answers."""
        if self._redis is None or not parts:
            return
        arguments: list[object] = [self._gateway]
        for part in parts:
            arguments += [repr(part.amount), part.end + KEPT]
        found = await self._redis.run(SHARE, [part.key for part in parts], arguments)
        for at, part in enumerate(parts if found else ()):
            known = self._known.setdefault(part.start, {})
            # A Redis that has lost the amounts of the others gets them back within seconds.
            others = max(known.get(part.key, Known()).others, float(found[2 * at + 1]))
            known[part.key] = Known(float(found[2 * at]), others)

    def _part(self, budget: Budget, name: str) -> Part:
        """Return this gateway's part. A changed definition of a budget gives another key."""
        start, end = self.spending.period(budget)
        counted = (budget.per, budget.unit, sorted(budget.models), budget.cache_read_weight)
        text = repr((*counted, budget.period, budget.time_zone))
        digest = sha256(text.encode()).hexdigest()[:12]
        key = f"spent:{budget.name}:{digest}:{int(start)}:{name}"
        return Part(key, int(start), int(end), float(self.spending.amount(budget, name)))
