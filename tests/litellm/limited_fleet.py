"""Two gateways with two workers each and a real Redis, whose limits and budgets tests change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mirrorfleet.config.budgets import Budget
from mirrorfleet.config.limits import Limits, TurnLimits
from mirrorfleet.planning import DerivedKey, KeyPlan, LitellmPlan
from mirrorfleet.roles.litellm.files.mirrorfleet_ledger import Ledger, Turn
from tests.litellm.gateway import Answer, Gateway, message, serving, write_keys
from tests.litellm.redis_server import Running, redis
from tests.litellm.upstream import Upstream

Keys = tuple[KeyPlan, ...]

DAILY = Budget("daily", "person", 100_000, None, "day", "UTC", (), {}, 0.1, 80)


@dataclass(frozen=True)
class Fleet:
    """Two gateways with a Redis."""

    gateways: tuple[Gateway, Gateway]
    redis: Running

    def apply(
        self, limits: TurnLimits | None = None, *budgets: Budget, keys: Keys | None = None
    ) -> None:
        """Change limits, budgets and keys as a run does, while the gateways serve."""
        for gateway in self.gateways:
            plan = replace(
                gateway.plan,
                limits=Limits(None, None, None, {}, limits or TurnLimits()),
                budgets=budgets,
                keys=gateway.plan.keys if keys is None else keys,
            )
            write_keys(plan, gateway.secrets, gateway.directory)

    def spend(self, at: int, person: str, tokens: int, model: str = "coder") -> None:
        """Add a turn to the ledger of a gateway, as another worker of it does."""
        ledger = Ledger(self.gateways[at].directory / "usage-1.sqlite")
        now = int(time.time() * 1000)
        turn: dict[str, Any] = dict.fromkeys(Turn._fields, 0) | {"ended": now, "input": tokens}
        names = {"person": person, "group": "team", "asked": model, "model": model}
        texts = {"deployment": "host", "session": "", "outcome": "complete", "mended": ""}
        ledger.add([Turn(**{**turn, **names, **texts})])
        ledger.close()

    def rotate(self, *budgets: Budget) -> tuple[str, str]:
        """Rotate all keys as a run does, and return the old key and the new one of ada."""
        first, rotated = self.gateways[0], []
        for plan in first.plan.keys:
            key = plan.key
            assert isinstance(key, DerivedKey)
            new = replace(key, rotation=(*key.rotation[:2], key.rotation[2] + 1))
            for gateway in self.gateways:
                gateway.secrets[new] = new.value(gateway.secrets[new.root])
            rotated.append(replace(plan, key=new))
        self.apply(None, *budgets, keys=tuple(rotated))
        [ada] = [each.key for each in rotated if each.name == "ada"]
        return self.key("ada"), first.secrets[ada]

    def key(self, person: str) -> str:
        first = self.gateways[0]
        [key] = [each.key for each in first.plan.keys if each.name == person]
        return first.secrets[key]

    def ask(self, person: str, at: int = 0, model: str = "coder", prompt: str = "ping") -> Answer:
        """Send a turn of a person to one of the gateways."""
        gateway = self.gateways[at % 2]
        return gateway.ask("/v1/messages", message(model, prompt), self.key(person))

    def at_once(self, person: str, count: int, prompt: str = "ping") -> list[Answer]:
        """Send turns at the same time, to both gateways."""
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda at: self.ask(person, at, prompt=prompt), range(count)))


@contextmanager
def two_gateways(
    plan: LitellmPlan, upstream: Upstream, directory: Callable[[str], Path]
) -> Iterator[Fleet]:
    """Serve a plan at two gateways during the block; ``directory`` makes one."""
    with ExitStack() as stack:
        server = stack.enter_context(redis(directory("redis")))
        plan = replace(plan, redis=server.config, metrics_port=None)
        contexts = [
            serving(replace(plan, name=name), upstream, directory(name), 2)
            for name in ("gw-1", "gw-2")
        ]
        with ThreadPoolExecutor() as pool:
            first, second = pool.map(stack.enter_context, contexts)
        yield Fleet((first, second), server)


def codes(answers: list[Answer]) -> list[int]:
    return sorted(answer.code for answer in answers)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def used(fleet: Fleet, person: str, at: int = 0) -> int:
    """Return the percent of the first budget that a gateway shows to a person."""
    answer = fleet.gateways[at].ask("/mirrorfleet/usage", key=fleet.key(person))
    assert answer.code == 200
    percent: int = answer.body["budgets"][0]["percent"]
    return percent
