"""Writers of a ledger that are killed at random times: the file stays whole, and the sums agree.

The processes are what a worker has of the ledger: its thread and its file, without LiteLLM.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from mirrorfleet.roles.litellm import render
from tests.waiting import until

KILLS = int(os.environ.get("MIRRORFLEET_KILLS", "20"))
"""`bin/test long` kills 200."""

WRITERS = 3

LOSS = 1.0
"""Most seconds of turns that a killed worker may lose."""

WRITER = """
import sys, time
from mirrorfleet_ledger import Ledger, Turn
from mirrorfleet_usage_writer import Writer

path, log, name = sys.argv[1:]
writer = Writer(Ledger(path), 90, 1095)
with open(log, "w") as lines:
    for number in range(1_000_000):
        now = time.time()
        session = f"{name}-{number}"
        writer.add(
            Turn(int(now * 1000), "ada", "team", "opus", "coder", "gpu", session, "complete", 200,
                 1, 0, 0, "", 10, 90, 0, 5, 7, 100, 20)
        )
        lines.write(f"{now} {session}\\n")
        lines.flush()
        time.sleep(0.002)
"""


def started(path: Path, number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(path), str(path.parent / f"{number}.log")]
    return subprocess.Popen([*command, str(number)], env={"PYTHONPATH": str(render.HERE / "files")})


def assert_sums_agree(path: Path) -> None:
    columns = ("input", "cache_read", "output", "cost", "latency", "first")
    sums = ", ".join(f"sum({name})" for name in columns)
    with closing(sqlite3.connect(path, timeout=30)) as ledger:
        ledger.execute("BEGIN")
        [rows] = ledger.execute(f"SELECT count(*), {sums} FROM turns")
        [days] = ledger.execute(f"SELECT sum(turns), {sums} FROM days")
    assert rows == days


@pytest.mark.slow
def test_killed_writers_lose_at_most_a_second(tmp_path: Path) -> None:
    path, seed = tmp_path / "usage-1.sqlite", random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    writers = {number: started(path, number) for number in range(WRITERS)}
    killed: dict[int, float] = {}
    try:
        until(path.exists, "a writer creates the ledger")
        for number in range(WRITERS, WRITERS + KILLS):
            time.sleep(chance.uniform(0.0, 0.4))
            victim = chance.choice(list(writers))
            killed[victim] = time.time()
            writers[victim].kill()
            writers.pop(victim).wait()
            writers[number] = started(path, number)
            if number % 20 == 0:
                assert_sums_agree(path)
    finally:
        for writer in writers.values():
            writer.send_signal(signal.SIGKILL)
            writer.wait()
    assert_sums_agree(path)
    with closing(sqlite3.connect(path)) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        written = {session for (session,) in ledger.execute("SELECT session FROM turns")}
    due = set()
    for number, end in killed.items():
        if (log := tmp_path / f"{number}.log").exists():
            found = (line.split() for line in log.read_text().splitlines()[:-1])
            due |= {session for at, session in found if float(at) < end - LOSS}
    assert len(due) > KILLS
    assert not due - written
