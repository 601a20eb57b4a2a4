r"""Workers of the real LiteLLM that are killed at random times: the ledger stays whole.

    MIRRORFLEET_KILLS=200 python -m pytest -s -o faulthandler_timeout=0 \
        tests/litellm/test_usage_kills.py

`bin/test long` kills 200 workers, any other run a few. The stand-in reports other tokens for each
turn: the ledger has the tokens of the turns that it answered, but for those of the last second
before a kill.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.litellm.conftest import GOOD
from tests.litellm.counted_answers import events, tokens
from tests.litellm.gateway import Gateway, message, planned, serving
from tests.litellm.test_usage import queried
from tests.litellm.test_workers import workers
from tests.litellm.upstream import Upstream

KILLS = int(os.environ.get("MIRRORFLEET_KILLS", "4"))

WORKERS, CLIENTS = 3, 4

LOSS = 1.0
"""Most seconds of turns that a killed worker may lose, on a machine that does not stall."""

SETTLED = 60
"""Most seconds until the last turns are in the ledger."""

PROGRESS = 900
"""Most seconds without a turn, or with a single worker."""

REPLY = 30
"""Seconds that uvicorn waits for a worker's reply, for which it asks twice per second. If a worker
is killed before it replies, uvicorn starts no other one meanwhile: on a busy machine, many kills
cost this time.
"""


class Turn(NamedTuple):
    """A turn whose answer a client has read to its end, at a time since 1970."""

    session: str
    number: int
    ended: float


class Load:
    """Clients that send turns one after another, with numbers of their own."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.turns: list[Turn] = []
        self.asked: dict[str, int] = {}
        self.numbers = count()
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            number, session = next(self.numbers), str(uuid.uuid4())
            self.asked[session] = number
            if self.is_answered(number, session):
                self.turns.append(Turn(session, number, time.time()))
            else:
                time.sleep(0.1)

    def is_answered(self, number: int, session: str) -> bool:
        """Send a turn, and return whether its answer is complete."""
        connection = HTTPConnection(urlsplit(self.gateway.url).netloc, timeout=PROGRESS)
        headers = {**self.gateway.headers(), "x-claude-code-session-id": session}
        body = json.dumps(message("opus", f"number {number}", stream=True))
        try:
            connection.request("POST", "/v1/messages", body, headers)
            return b"message_stop" in connection.getresponse().read()
        except (OSError, HTTPException):
            return False  # the worker was killed
        finally:
            connection.close()

    def wait(self, since: int) -> None:
        """Wait until a turn was answered after the first ``since`` ones."""
        end = time.monotonic() + PROGRESS
        while len(self.turns) <= since:
            assert time.monotonic() < end, "no worker answers"
            time.sleep(0.02)


@contextmanager
def steady(gateway: Gateway) -> Iterator[Load]:
    """Run the clients during the block."""
    load = Load(gateway)
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(load.run) for _ in range(CLIENTS)]
        try:
            yield load
        finally:
            load.stop.set()
    for each in running:
        each.result()


@contextmanager
def stalls() -> Iterator[list[float]]:
    """Measure by how much this machine delays a thread: the last value is the most."""
    found, stop = [0.0], threading.Event()

    def measure() -> None:
        while not stop.is_set():
            before = time.monotonic()
            stop.wait(0.05)
            found.append(max(found[-1], time.monotonic() - before - 0.05))

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def serving_workers(gateway: Gateway) -> list[str]:
    """Return the workers that have opened the ledger, as the last step of their start."""
    found = []
    for worker in sorted(workers(gateway)):
        with suppress(OSError):
            files = [file.readlink() for file in Path(f"/proc/{worker}/fd").iterdir()]
            if any(file.name == "usage-1.sqlite" for file in files):
                found.append(worker)
    return found


def kill(gateway: Gateway, chance: random.Random, load: Load) -> float:
    """Kill one of several serving workers at a random time; return the time."""
    end = time.monotonic() + PROGRESS
    while time.monotonic() < end:
        if len(serving_workers(gateway)) >= 2:
            load.wait(len(load.turns))
            time.sleep(chance.uniform(0, 0.5))
            if serving := serving_workers(gateway):  # uvicorn ends workers that do not reply to it
                os.kill(int(chance.choice(serving)), signal.SIGKILL)
                return time.time()
        time.sleep(0.2)
    raise AssertionError("uvicorn starts no other workers")


def assert_sums_agree(path: Path) -> None:
    columns = ("input", "cache_read", "cache_write", "output", "cost", "latency")
    sums = ", ".join(f"sum({name})" for name in columns)
    [both] = queried(
        path,
        f"SELECT * FROM (SELECT count(*), {sums} FROM turns), "
        f"(SELECT sum(turns), {sums} FROM days)",
    )
    assert both[: len(both) // 2] == both[len(both) // 2 :]
    assert queried(path, "PRAGMA integrity_check") == [("ok",)]


def test_killed_workers_lose_at_most_a_second(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.randrange(2**32)
    print(f"\nseed {seed}")
    chance, killed = random.Random(seed), list[float]()
    monkeypatch.setattr(upstream, "events", events)
    path = tmp_path / "usage-1.sqlite"
    with serving(planned(GOOD / "usage.yml"), upstream, tmp_path, WORKERS, REPLY) as gateway:
        with steady(gateway) as load, stalls() as stall:
            for number in range(KILLS):
                killed.append(kill(gateway, chance, load))
                if number % 20 == 19:
                    assert_sums_agree(path)
                    print(f"{number + 1} kills, {len(load.turns)} turns", flush=True)
            load.wait(len(load.turns) + 10)
        turns = {turn.session: turn for turn in load.turns}
        last, found = time.monotonic() + SETTLED, -1
        while time.monotonic() < last and found < len(turns):
            time.sleep(1)
            before, [(found,)] = found, queried(path, "SELECT count(*) FROM turns")
            if found == before and time.monotonic() > last - SETTLED + 5:
                break
    assert_sums_agree(path)
    columns = "session, outcome, input, cache_read, cache_write, output"
    recorded = queried(path, f"SELECT {columns} FROM turns")
    rows = {session: tuple(row) for session, *row in recorded}
    assert len(rows) == len(recorded), "a turn is recorded once"
    for session, row in rows.items():
        if session in turns:
            assert row == ("complete", *tokens(message("opus", f"number {load.asked[session]}")))
    missing = [turn for session, turn in turns.items() if session not in rows]
    ages = [
        min((at - turn.ended for at in killed if at >= turn.ended), default=-1) for turn in missing
    ]
    print(
        f"{KILLS} kills, {len(turns)} turns, {len(missing)} not recorded, the oldest "
        f"{max(ages, default=0):.2f} s before a kill; this machine stalls {stall[-1]:.2f} s"
    )
    assert len(turns) > KILLS
    assert set(rows) <= set(load.asked)
    assert all(0 <= age <= LOSS + stall[-1] for age in ages)
