# mypy: disable-error-code=import-not-found
"""Workers of two gateways in one process, without LiteLLM: run by a gateway's Python environment.

    python shared_limits.py DIRECTORY REDIS_URL REDIS_DIRECTORY REDIS_PROCESS

DIRECTORY has the programs of a gateway, and limits.json. Kills Redis, and starts it again, empty.
Prints results as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

DIRECTORY, URL, SERVER, PROCESS = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
sys.path.insert(0, str(DIRECTORY))
os.environ["MIRRORFLEET_KEYS"] = str(DIRECTORY)

import mirrorfleet_shared_redis  # noqa: E402
from mirrorfleet_budgets import Budgets  # noqa: E402
from mirrorfleet_key_file import Key  # noqa: E402
from mirrorfleet_ledger import Ledger, Turn  # noqa: E402
from mirrorfleet_limits import limited  # noqa: E402
from mirrorfleet_limits_file import LimitsFile  # noqa: E402
from mirrorfleet_rates import Rates  # noqa: E402
from mirrorfleet_shared_redis import PAUSE, SharedRedis  # noqa: E402
from mirrorfleet_spending import Spending  # noqa: E402
from mirrorfleet_totals import Totals  # noqa: E402

mirrorfleet_shared_redis.PATIENCE = 60  # the machine of a test may be busy
running = most = 0


async def model(scope: Any, receive: Any, send: Any) -> None:
    """Answer after a moment; count the turns that run."""
    global running, most
    running += 1
    most = max(most, running)
    await asyncio.sleep(0.2)
    running -= 1
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def worker(gateway: str) -> Any:
    totals = Totals(Spending(DIRECTORY / gateway), SharedRedis(URL, "test"), gateway)
    budgets = Budgets(LimitsFile(DIRECTORY / "limits.json"), totals)
    rates = Rates(SharedRedis(URL, "test"))
    return limited(model, budgets, rates, str), budgets, rates


WORKERS = [worker(gateway) for gateway in ("gw-1", "gw-1", "gw-2", "gw-2")]


async def ask(at: int, person: str, path: str = "/v1/messages") -> tuple[int, dict[str, str]]:
    """Send a turn to a worker; return the status and the headers."""
    found: list[Any] = []

    async def send(message: Any) -> None:
        found.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [],
        "mirrorfleet_key": Key(person, "developer", "team"),
        "mirrorfleet_model": "coder",
    }
    await WORKERS[at % len(WORKERS)][0](scope, None, send)
    headers = {name.decode(): value.decode() for name, value in found[0]["headers"]}
    return found[0]["status"], headers


async def many(person: str, count: int) -> dict[str, int]:
    """Send turns to all workers at the same time; return the number of each status."""
    answers = await asyncio.gather(*(ask(at, person) for at in range(count)))
    return dict(Counter(str(status) for status, _ in answers))


def limits(budgets: list[Any], **changed: Any) -> None:
    content = {"version": 1, "names": {"coder": "coder"}, "passthrough": "", "budgets": budgets}
    new = DIRECTORY / "new"
    new.write_text(json.dumps({**content, "limits": changed}))
    new.replace(DIRECTORY / "limits.json")


def spend(gateway: str, person: str, tokens: int) -> None:
    counts = dict.fromkeys(Turn._fields, 0) | {"ended": int(time.time() * 1000), "input": tokens}
    names = dict.fromkeys(("deployment", "session", "mended"), "") | {"outcome": "complete"}
    who = {"person": person, "group": "team", "asked": "coder", "model": "coder"}
    ledger = Ledger(DIRECTORY / gateway)
    ledger.add([Turn(**{**counts, **names, **who})])
    ledger.close()


async def publish(everything: bool = False) -> None:
    for _, budgets, _ in WORKERS * 2:  # twice: the first ones see what the last ones published
        await budgets.publish(everything)


DAILY = {
    **{"name": "daily", "per": "person", "unit": "tokens", "amount": 1000, "exceptions": {}},
    **{"models": [], "period": "day", "time_zone": "UTC", "cache_read_weight": 0.1},
    "warn_at": 80,
}


async def main() -> dict[str, Any]:
    global most
    found: dict[str, Any] = {}
    limits([], per_person={"requests_per_minute": 50})
    found["rate"] = await many("ada", 200)
    found["rate of another"] = await many("bob", 40)
    limits([], models={"coder": {"parallel": 7}})
    most = 0
    found["parallel"], found["most"] = await many("eve", 60), most
    found["released"] = await many("eve", 7)
    limits([DAILY])
    spend("gw-1", "ada", 500)
    await publish()
    found["half"] = [await ask(at, "ada") for at in range(4)]
    spend("gw-2", "ada", 350)
    await publish()
    found["warned"] = (await ask(0, "ada"))[1]["x-mirrorfleet-budget"].split(";")[:2]
    spend("gw-2", "ada", 150)
    await publish()
    found["spent"] = await many("ada", 8)
    found["count"] = (await ask(1, "ada", "/v1/messages/count_tokens"))[0]
    found["not spent"] = await many("bob", 8)
    os.kill(PROCESS, signal.SIGKILL)
    found["away, spent"] = await many("ada", 8)
    found["away, not spent"] = await many("bob", 8)
    spend("gw-1", "bob", 600)
    spend("gw-2", "bob", 700)
    found["away, each below"] = await many("bob", 8)
    command = [f"{SERVER}/redis-server", "redis.conf"]
    server = subprocess.Popen(command, cwd=SERVER, stdout=subprocess.DEVNULL)
    try:
        await asyncio.sleep(PAUSE + 1)
        await publish(everything=True)
        found["back, spent"] = await many("ada", 8)
        found["back, together above"] = await many("bob", 8)
        found["back, others"] = await many("lin", 8)
    finally:
        server.kill()
        server.wait()
    return found


print(json.dumps(asyncio.run(main())))
