"""The ledgers of two gateways with two workers each, compared turn by turn with the engines.

The stand-in reports other tokens for each prompt. A turn is found in the ledger by its session.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from mirrorfleet import monitoring
from tests.litellm.conftest import GOOD
from tests.litellm.counted_answers import BROKEN, DELTAS, SLOWLY, chunks, events
from tests.litellm.gateway import Gateway, message, planned, serving
from tests.litellm.test_workers import workers
from tests.litellm.upstream import Upstream

ENGINE, EXTERNAL, PROVIDER = "10.0.0.1:8001", "10.0.9.7:8000", "api.anthropic.com"

PATIENCE = 20  # less than LiteLLM has for its report, REPORT of mirrorfleet_usage_turn.py
"""Maximum seconds until a turn is in a ledger; on an idle machine it takes less than one."""

LOCKED = 4
"""Seconds in which a worker that stops finds the ledger locked; it waits for ten."""


class Row(NamedTuple):
    """A row of a ledger, without times and what differs between runs."""

    person: str
    group: str
    asked: str
    model: str
    deployment: str
    outcome: str
    status: int
    streamed: int
    estimated: int
    fallback: int
    input: int
    cache_read: int
    cache_write: int
    output: int
    cost: int | None


class Fleet(NamedTuple):
    """Two running gateways."""

    gateways: tuple[Gateway, ...]

    def ask(self, at: int, model: str, number: int, person: str = "ada", **more: Any) -> str:
        """Send a turn to a gateway, and return its session."""
        session, path = str(uuid.uuid4()), more.pop("path", "/v1/messages")
        gateway = self.gateways[at]
        body = message(model, f"number {number} {more.pop('word', '')}", **more)
        key = key_of(gateway, person)
        gateway.ask(path, body, key, x_claude_code_session_id=session)
        return session

    def cut(self, at: int, model: str, number: int, after: int) -> str:
        """Send a streamed turn, and leave after some bytes of the answer; return its session."""
        session, gateway = str(uuid.uuid4()), self.gateways[at]
        connection = HTTPConnection(urlsplit(gateway.url).netloc, timeout=60)
        body = message(model, f"number {number} {SLOWLY}", stream=True)
        headers = {**gateway.headers(key_of(gateway, "ada")), "x-claude-code-session-id": session}
        connection.request("POST", "/v1/messages", json.dumps(body), headers)
        if after:
            response = connection.getresponse()
            response.read(after)
            response.close()
        else:
            time.sleep(1)
        connection.close()
        return session

    def row(self, session: str) -> Row:
        """Return the row of a turn, once it is in a ledger."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := self.find("session = ?", session):
                [row] = found
                return row
            time.sleep(0.1)
        raise AssertionError("the turn is in no ledger")

    def find(self, condition: str, *values: Any) -> list[Row]:
        columns = ", ".join(f'"{name}"' for name in Row._fields)
        query = f"SELECT {columns} FROM turns WHERE {condition}"
        return [Row(*row) for row in self.query(query, *values)]

    def query(self, query: str, *values: Any) -> list[Any]:
        """Return the rows of both ledgers."""
        return [
            row
            for gateway in self.gateways
            for row in queried(gateway.directory / "usage-1.sqlite", query, *values)
        ]


def queried(path: Path, query: str, *values: Any) -> list[Any]:
    if not path.exists():
        return []
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        return connection.execute(query, values).fetchall() if ("days",) in tables else []


def key_of(gateway: Gateway, person: str) -> str:
    [key] = [gateway.secrets[each.key] for each in gateway.plan.keys if each.name == person]
    return key


@pytest.fixture(scope="module", name="fleet")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    plan = planned(GOOD / "usage.yml")
    with upstream.changed(events=events, chunks=chunks), ExitStack() as stack:
        directories = [tmp_path_factory.mktemp(name) for name in ("gw-1", "gw-2")]
        yield Fleet(
            tuple(stack.enter_context(serving(plan, upstream, each, 2)) for each in directories)
        )


def native(number: int, **more: Any) -> Row:
    """Return the row of a streamed turn of the engine with the Messages API."""
    new, read, written, output = (100 + number, 1000 + number, number % 7, 10 + number)
    cost = round(500 * (new + written) + 50 * read + 2500 * output)
    row = Row(
        *("ada", "team", "opus", "coder", "gpu-a", "complete", 200, 1, 0, 0),
        *(new, read, written, output, cost),
    )
    return row._replace(**more)


def test_streamed_turns_of_two_people_and_all_workers(fleet: Fleet) -> None:
    numbers, people = range(40), cycle(("ada", "linus"))
    asked = list(zip(numbers, cycle((0, 1)), people, strict=False))
    with ThreadPoolExecutor(8) as pool:
        sessions = list(
            pool.map(
                lambda each: fleet.ask(
                    each[1],
                    "opus" if each[2] == "ada" else "coder",
                    each[0],
                    each[2],
                    stream=True,
                ),
                asked,
            )
        )
    for (number, _, person), session in zip(asked, sessions, strict=True):
        expected = native(number)
        if person == "linus":
            expected = expected._replace(person="linus", group="interns", asked="coder")
        assert fleet.row(session) == expected


def test_whole_turns(fleet: Fleet) -> None:
    whole = {"streamed": 0, "input": 3, "cache_read": 0, "cache_write": 0, "output": 1}
    assert fleet.row(fleet.ask(0, "opus", 1)) == native(1, **whole, cost=4000)
    assert fleet.row(fleet.ask(1, "external", 1)) == native(
        1, **whole, asked="external", model="external", deployment=EXTERNAL, cost=1600
    )
    row = fleet.row(fleet.ask(0, "cloud", 1))
    assert row.cost
    assert row == native(
        1, **whole, asked="cloud", model="cloud", deployment="anthropic", cost=row.cost
    )


def test_a_translated_stream(fleet: Fleet) -> None:
    assert fleet.row(fleet.ask(0, "external", 5, stream=True)) == native(
        5,
        **{"asked": "external", "model": "external", "deployment": EXTERNAL},
        **{"cache_write": 0, "cost": 200 * 105 + 20 * 1005 + 1000 * 15},
    )


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_is_one_turn_of_the_model_that_answered(
    stream: bool, fleet: Fleet, upstream: Upstream
) -> None:
    with upstream.changed(down=ENGINE):
        row = fleet.row(fleet.ask(1, "sonnet", 9, stream=stream))
    assert row.cost
    expected = native(9, asked="sonnet", model="cloud", deployment="anthropic", fallback=1)
    if not stream:
        expected = expected._replace(input=3, cache_read=0, cache_write=0, output=1, streamed=0)
    assert row == expected._replace(cost=row.cost)


@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_turn_has_no_tokens(stream: bool, fleet: Fleet, upstream: Upstream) -> None:
    with upstream.changed(is_down=True):
        row = fleet.row(fleet.ask(0, "external", 9, stream=stream))
    assert (row.outcome, row.status, row.model, row.deployment) == (
        *("failed", 503, "external", EXTERNAL),
    )
    assert row[10:14] == (0, 0, 0, 0)
    assert not row.estimated


def test_an_unknown_model_leaves_no_text_of_the_client(fleet: Fleet) -> None:
    row = fleet.row(fleet.ask(0, "please-read-my-secret", 9))
    assert (row.asked, row.model, row.outcome, row.status) == ("?", "", "failed", 400)


def test_a_cut_stream_is_an_estimate(fleet: Fleet) -> None:
    row = fleet.row(fleet.cut(0, "opus", 3, after=900))
    assert 1 <= row.output <= DELTAS
    cost = round(500 * (103 + 3) + 50 * 1003 + 2500 * row.output)
    expected = native(3, outcome="cut", status=499, estimated=1, output=row.output, cost=cost)
    assert row == expected


def test_a_translated_stream_that_is_cut_is_an_estimate(fleet: Fleet) -> None:
    row = fleet.row(fleet.cut(1, "external", 3, after=900))
    assert (row.outcome, row.status, row.estimated, row.deployment) == ("cut", 499, 1, EXTERNAL)
    assert row.input > 0
    assert 1 <= row.output <= DELTAS


def test_a_broken_stream_has_failed(fleet: Fleet) -> None:
    row = fleet.row(fleet.ask(0, "opus", 4, stream=True, word=BROKEN))
    assert (row.outcome, row.status, row.estimated) == ("failed", 200, 1)
    assert (row.input, row.cache_read) == (104, 1004)
    assert row.output >= DELTAS


@pytest.mark.parametrize("stream", [False, True])
def test_the_passthrough_is_recorded(stream: bool, fleet: Fleet) -> None:
    path = "/anthropic/v1/messages"
    row = fleet.row(fleet.ask(0, "claude-haiku-5-5", 6, path=path, stream=stream))
    assert (row.person, row.model, row.outcome) == ("ada", "claude-haiku-5-5", "complete")
    assert row[10:14] == ((106, 1006, 6, 16) if stream else (3, 0, 0, 1))


def test_token_counts_and_wrong_keys_are_not_recorded(fleet: Fleet) -> None:
    [before] = map(sum, zip(*fleet.query("SELECT count(*) FROM turns"), strict=True))
    fleet.ask(0, "opus", 1, path="/v1/messages/count_tokens")
    assert fleet.gateways[0].ask("/v1/messages", message("opus"), "sk-wrong").code == 401
    fleet.row(fleet.ask(0, "opus", 1))
    [after] = map(sum, zip(*fleet.query("SELECT count(*) FROM turns"), strict=True))
    assert after == before + 1


def test_the_sums_of_days_are_those_of_the_rows(fleet: Fleet) -> None:
    fleet.row(fleet.ask(0, "opus", 1))
    fleet.row(fleet.ask(1, "opus", 1))
    columns = "input, cache_read, cache_write, output, cost, latency, first, fallback, estimated"
    sums = ", ".join(f"sum({name.strip()})" for name in columns.split(","))
    for gateway in fleet.gateways:
        path = gateway.directory / "usage-1.sqlite"
        [rows] = queried(path, f"SELECT count(*), {sums} FROM turns")
        [days] = queried(path, f"SELECT sum(turns), {sums} FROM days")
        assert rows == days
        assert queried(path, "PRAGMA integrity_check") == [("ok",)]


def test_the_metrics_of_dashboard_and_alerts_exist(fleet: Fleet) -> None:
    fleet.row(fleet.ask(0, "opus", 1, stream=True))
    gateway = fleet.gateways[0]
    shown = str(gateway.ask("/metrics/", key=gateway.master).body)
    files = (monitoring.HERE / f"usage_{kind}.yml" for kind in ("rules", "dashboard"))
    asked = set(re.findall(r"mirrorfleet_usage_\w+", "".join(file.read_text() for file in files)))
    assert asked
    for name in asked - {"mirrorfleet_usage_fallbacks_total"}:
        assert f"{name}{{" in shown
    assert 'group="team"' in shown
    assert 'person="ada"' in shown


def test_no_word_of_a_conversation_is_stored(fleet: Fleet) -> None:
    word = f"zebra{uuid.uuid4().hex}"
    fleet.row(fleet.ask(0, "opus", 1, word=word, stream=True, system=word))
    for gateway in fleet.gateways:
        for file in gateway.directory.glob("usage-1.sqlite*"):
            content = file.read_bytes()
            assert word.encode() not in content
            assert b"word " not in content, "the answer"


def test_workers_that_stop_record_all_turns(fleet: Fleet) -> None:
    """The last test of this module: uvicorn then starts other workers.

    The ledger is locked meanwhile, so that only the end of a worker can write its last turns.
    """
    fleet.row(fleet.ask(1, "opus", 1))  # the file exists
    gateway = fleet.gateways[1]
    before = workers(gateway)
    path = gateway.directory / "usage-1.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as ledger:
        ledger.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(4) as pool:
            asked = pool.map(lambda number: fleet.ask(1, "opus", number, stream=True), range(12))
            sessions = list(asked)
        for worker in before:
            os.kill(int(worker), signal.SIGTERM)
        time.sleep(LOCKED)
    end = time.monotonic() + PATIENCE
    while workers(gateway) & before:
        assert time.monotonic() < end
        time.sleep(0.2)
    recorded = {session for (session,) in queried(path, "SELECT session FROM turns")}
    assert set(sessions) <= recorded
