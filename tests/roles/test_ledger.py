"""The ledger's file: rows, sums of days, and what is deleted."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from mirrorfleet.roles.litellm.files.mirrorfleet_ledger import Ledger, Sums, Turn

NOW = 1_800_000_000.0
TURN = Turn(
    ended=int(NOW * 1000),
    person="ada",
    group="team",
    asked="opus",
    model="coder",
    deployment="gpu-1",
    session="",
    outcome="complete",
    status=200,
    streamed=1,
    estimated=0,
    fallback=0,
    mended="",
    input=1000,
    cache_read=8000,
    cache_write=0,
    output=50,
    cost=None,
    latency=4000,
    first=900,
)


@pytest.fixture(name="path")
def file(tmp_path: Path) -> Path:
    return tmp_path / "usage-1.sqlite"


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        return connection.execute(query).fetchall()


def test_a_program_that_reads_meanwhile_loses_no_turn(path: Path) -> None:
    """A worker reads budgets from the file that it writes; another process opens and closes it."""
    Ledger(path).add([TURN])
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as budgets:
        budgets.execute("SELECT count(*) FROM turns").fetchall()
        ledger = Ledger(path)
        ledger.add([TURN])
        query = f"import sqlite3; sqlite3.connect({str(path)!r}).execute('SELECT * FROM turns')"
        subprocess.run([sys.executable, "-c", query], check=True)
        ledger.add([TURN])
        assert rows(path, "SELECT count(*) FROM turns") == [(3,)]
        ledger.close()


def test_rows_and_sums_of_days_agree(path: Path) -> None:
    one, other = Ledger(path), Ledger(path)
    one.add([TURN, TURN._replace(cost=5), TURN._replace(outcome="cut", estimated=1, first=None)])
    other.add([TURN, TURN._replace(person="bob", outcome="failed", status=503)])
    other.add([TURN._replace(ended=TURN.ended + 86_400_000)])
    assert rows(path, "SELECT count(*) FROM turns") == [(6,)]
    columns = "day, person, turns, failed, cut, estimated, input, cost, priced, streamed, first"
    assert rows(path, f"SELECT {columns} FROM days ORDER BY day, person") == [
        ("2027-01-15", "ada", 4, 0, 1, 1, 4000, 5, 1, 3, 2700),
        ("2027-01-15", "bob", 1, 1, 0, 0, 1000, 0, 0, 1, 900),
        ("2027-01-16", "ada", 1, 0, 0, 0, 1000, 0, 0, 1, 900),
    ]


def test_sums_of_a_person_a_group_and_a_model(path: Path) -> None:
    ledger = Ledger(path)
    assert ledger.sums(0, NOW) == Sums(0, 0, 0, 0, 0, 0)
    ledger.add([TURN, TURN._replace(person="bob"), TURN._replace(model="cloud", cost=7)])
    assert ledger.sums(NOW, NOW + 1) == Sums(3, 3000, 24000, 0, 150, 7)
    assert ledger.sums(NOW, NOW + 1, person="ada").turns == 2
    assert ledger.sums(NOW, NOW + 1, person="ada", model="cloud").cost == 7
    assert ledger.sums(NOW, NOW + 1, group="others").turns == 0
    assert ledger.sums(NOW - 60, NOW).turns == 0, "the end is not part of the time"


def test_old_rows_are_deleted_and_their_sums_stay(path: Path) -> None:
    ledger, today = Ledger(path), int(time.time() * 1000)
    old = TURN._replace(ended=today - 100 * 86_400_000)
    ledger.add([old] * 2500 + [TURN._replace(ended=today)])
    ledger.prune(rows=90, days=1095, size=2**30)
    assert rows(path, "SELECT count(*) FROM turns") == [(1,)]
    assert rows(path, "SELECT sum(turns) FROM days") == [(2501,)]
    ledger.prune(rows=90, days=99, size=2**30)
    assert rows(path, "SELECT sum(turns) FROM days") == [(1,)]


def test_a_large_file_loses_its_oldest_rows(path: Path) -> None:
    ledger, today = Ledger(path), int(time.time() * 1000)
    for hours in range(10):
        ledger.add([TURN._replace(ended=today - hours * 3_600_000)] * 1000)
    ledger.prune(rows=90, days=1095, size=450_000)
    [(kept, oldest)] = rows(path, "SELECT count(*), min(ended) FROM turns")
    assert isinstance(kept, int)
    assert isinstance(oldest, int)
    assert 0 < kept < 5000
    assert oldest > today - 5 * 3_600_000
    assert rows(path, "SELECT sum(turns) FROM days") == [(10_000,)]


def test_one_worker_does_a_job_of_all(path: Path) -> None:
    assert [Ledger(path).is_due("prune", 3600) for _ in range(3)] == [True, False, False]
    rows(path, "UPDATE jobs SET done = done - 3600")
    assert [Ledger(path).is_due("prune", 3600) for _ in range(2)] == [True, False]


def test_only_the_owner_reads_the_file(path: Path) -> None:
    ledger = Ledger(path)
    ledger.add([TURN])
    names = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert names == {path.name + end: 0o600 for end in ("", "-wal", "-shm")}


def test_a_link_is_not_followed(path: Path) -> None:
    path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Ledger(path).add([TURN])
    assert not (path.parent / "elsewhere").exists()
