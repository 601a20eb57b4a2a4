"""Budgets that real turns spend, on every path: two gateways, real LiteLLM and a real Redis.

No test writes to a ledger. The stand-in reports 3 tokens of the prompt and 1 of the answer for each
whole turn, and others for each prompt of a stream.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from mirrorfleet import monitoring
from tests.litellm.conftest import GOOD
from tests.litellm.counted_answers import BROKEN, DELTAS, SLOWLY, chunks, events, responses
from tests.litellm.gateway import Answer, message, planned
from tests.litellm.limited_fleet import DAILY, Fleet, two_gateways, until, used
from tests.litellm.redis_server import needed
from tests.litellm.test_usage import queried
from tests.litellm.upstream import Upstream

pytestmark = needed

SMALL = replace(DAILY, tokens=40)

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
MESSAGES, PASSTHROUGH = "/v1/messages", "/anthropic/v1/messages"
COUNTS = [f"{path}/count_tokens" for path in (MESSAGES, PASSTHROUGH)]

PEOPLE = "ada, bob, eve, kim, max, zoe"

NOTES = (
    'notes: {engine: external, url: "http://10.0.9.7:8000", served_name: bge, task: embed,'
    " context: 8192}"
)


def body(path: str, model: str = "coder", prompt: str = "ping", **more: Any) -> dict[str, Any]:
    """Return a turn, as the clients of a path send it."""
    if path == RESPONSES:
        return {"model": model, "input": prompt, **more}
    if path == EMBEDDINGS:
        return {"model": "notes", "input": [prompt], **more}
    if path == PASSTHROUGH:
        model = "claude-opus-5-5"
    return message(model, prompt, **more)


@pytest.fixture(scope="module", name="fleet")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    text = (GOOD / "limits.yml").read_text("utf-8")
    for old, new in (
        ("users: [ada, bob]", f"users: [{PEOPLE}], clients: [claude, openai]"),
        ("  usage: {}\n", "  usage: {}\n  anthropic_passthrough: cloud\n"),
        ("models:\n  coder", f"models:\n  {NOTES}\n  coder"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path_factory.mktemp("fleet") / "fleet.yml"
    path.write_text(text, "utf-8")
    with (
        upstream.changed(events=events, chunks=chunks, responses=responses),
        two_gateways(planned(path), upstream, tmp_path_factory.mktemp) as fleet,
    ):
        fleet.apply(None, SMALL)
        upstream.taken()
        yield fleet


def ask(fleet: Fleet, person: str, at: int, path: str, **more: Any) -> tuple[str, Answer]:
    """Send a turn, and return its session and the answer."""
    session, content = str(uuid.uuid4()), body(path, **more)
    gateway = fleet.gateways[at]
    return session, gateway.ask(path, content, fleet.key(person), x_claude_code_session_id=session)


def rows(fleet: Fleet, condition: str, value: str) -> list[Any]:
    """Return outcome, model, and tokens of turns in both ledgers."""
    columns = "outcome, model, input, cache_read, cache_write, output"
    query = f"SELECT {columns} FROM turns WHERE {condition} = ?"
    files = (gateway.directory / "usage-1.sqlite" for gateway in fleet.gateways)
    return [each for file in files for each in queried(file, query, value)]


def row(fleet: Fleet, session: str) -> Any:
    """Return the row of a turn, once it is in a ledger."""
    until(lambda: bool(rows(fleet, "session", session)), 20)
    [found] = rows(fleet, "session", session)
    return found


def tokens(fleet: Fleet, person: str) -> int:
    """Return the tokens of a person's rows, none of which is from the prompt cache."""
    return sum(sum(each[2:]) for each in rows(fleet, "person", person))


def wait_for(fleet: Fleet, person: str, percent: int) -> None:
    """Wait until both gateways show that this part of the budget is used."""
    until(lambda: used(fleet, person, 0) == percent == used(fleet, person, 1), 28)


def is_refused(answer: Answer) -> bool:
    """Return whether a spent budget refused a turn so that clients stop at once."""
    error = answer.body["error"] if answer.code == 429 else {}
    return error.get("type") == "billing_error" and answer.headers["x-should-retry"] == "false"


def test_a_budget_stops_a_person_at_the_next_turn_and_no_other_user(
    fleet: Fleet, upstream: Upstream
) -> None:
    for number in range(10):
        assert ask(fleet, "ada", number % 2, MESSAGES)[1].code == 200
        wait_for(fleet, "ada", 10 * number + 10)
    assert len(upstream.taken()) == 10
    for number in range(8):
        answer = ask(fleet, "ada", number % 2, MESSAGES)[1]
        assert is_refused(answer), answer.body
        text = answer.body["error"]["message"]
        assert text.startswith("The daily budget 'daily' of ada is spent: 40 of 40 tokens. It ")
    assert upstream.taken() == [], "no refused turn reaches an engine"
    assert [ask(fleet, "bob", at % 2, MESSAGES)[1].code for at in range(4)] == [200] * 4
    assert tokens(fleet, "ada") == 40, "what the engine reported"


@pytest.mark.parametrize("path", [MESSAGES, CHAT, RESPONSES, EMBEDDINGS, PASSTHROUGH, *COUNTS])
def test_a_spent_budget_refuses_every_path(fleet: Fleet, upstream: Upstream, path: str) -> None:
    upstream.taken()
    for at in range(2):
        answer = ask(fleet, "ada", at, path)[1]
        assert is_refused(answer), answer.body
        assert "'daily' of ada is spent" in answer.body["error"]["message"]
    assert upstream.taken() == []


def test_a_rotated_key_keeps_the_count_of_its_person(fleet: Fleet) -> None:
    old, new = fleet.rotate(SMALL)
    try:
        for gateway in fleet.gateways:
            assert gateway.ask(MESSAGES, body(MESSAGES), old).code == 401
            assert is_refused(gateway.ask(MESSAGES, body(MESSAGES), new))
    finally:
        fleet.apply(None, SMALL)


@pytest.mark.parametrize(
    ("path", "output"),
    [(MESSAGES, 1), (CHAT, 1), (RESPONSES, 1), (EMBEDDINGS, 0), (PASSTHROUGH, 1)],
)
def test_a_whole_turn_of_every_path_counts(fleet: Fleet, path: str, output: int) -> None:
    before = tokens(fleet, "eve")
    session, answer = ask(fleet, "eve", 0, path)
    assert answer.code == 200, answer.body
    model = {EMBEDDINGS: "notes", PASSTHROUGH: "claude-opus-5-5"}.get(path, "coder")
    assert row(fleet, session) == ("complete", model, 3, 0, 0, output)
    percent = (before + 3 + output) * 100 // 40
    until(lambda: used(fleet, "eve", 1) == percent, 60)


@pytest.mark.parametrize("model", ["coder", "cloud"])
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_streamed_turn_of_openais_api_counts(fleet: Fleet, path: str, model: str) -> None:
    fleet.apply(None, DAILY)
    session, answer = ask(fleet, "zoe", 1, path, model=model, prompt="number 5", stream=True)
    assert answer.code == 200, answer.body
    written = 5 if model == "cloud" else 0
    assert row(fleet, session) == ("complete", model, 105, 1005, written, 15)


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_stream_of_openais_api_that_is_cut_counts(fleet: Fleet, path: str) -> None:
    fleet.apply(None, DAILY)
    session, gateway = str(uuid.uuid4()), fleet.gateways[0]
    connection = HTTPConnection(urlsplit(gateway.url).netloc, timeout=60)
    content = json.dumps(body(path, prompt=f"number 3 {SLOWLY}", stream=True))
    headers = {**gateway.headers(fleet.key("zoe")), "x-claude-code-session-id": session}
    connection.request("POST", path, content, headers)
    response = connection.getresponse()
    response.read(900)
    response.close()
    connection.close()
    outcome, model, new, *_, output = row(fleet, session)
    assert (outcome, model) == ("cut", "coder")
    assert new > 0
    assert 1 <= output <= DELTAS + 1


@pytest.mark.parametrize("model", ["coder", "cloud"])
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_stream_of_openais_api_that_breaks_counts(fleet: Fleet, path: str, model: str) -> None:
    """LiteLLM completes a stream that it translates: the client gets no error."""
    fleet.apply(None, DAILY)
    prompt = f"number 4 {BROKEN}"
    session, answer = ask(fleet, "zoe", 0, path, model=model, prompt=prompt, stream=True)
    is_failed = "response.failed" in str(answer.body)
    assert is_failed == ((path, model) == (RESPONSES, "coder"))
    outcome, found, new, *_, output = row(fleet, session)
    assert (outcome, found) == ("failed" if is_failed else "complete", model)
    assert new > 0
    assert output >= DELTAS


def test_without_redis_no_user_is_shut_out_and_nothing_is_lost(fleet: Fleet) -> None:
    fleet.apply(None, SMALL)
    fleet.redis.kill()
    answers = [ask(fleet, "kim", at % 2, MESSAGES)[1] for at in range(8)]
    answers += [ask(fleet, "kim", 0, MESSAGES)[1] for _ in range(2)]
    assert [answer.code for answer in answers] == [200] * 10
    until(lambda: used(fleet, "kim", 0) == 60 and used(fleet, "kim", 1) == 40, 60)
    assert ask(fleet, "max", 0, MESSAGES)[1].code == 200
    fleet.redis.start()
    wait_for(fleet, "kim", 100)
    for at in range(4):
        assert is_refused(ask(fleet, "kim", at % 2, MESSAGES)[1])
        assert ask(fleet, "max", at % 2, MESSAGES)[1].code == 200
    assert tokens(fleet, "kim") == 40


def test_the_metrics_of_dashboard_and_alerts_exist(fleet: Fleet) -> None:
    fleet.apply(None, SMALL)
    gateway = fleet.gateways[0]
    shown = str(gateway.ask("/metrics/", key=gateway.master).body)
    files = (monitoring.HERE / f"budgets_{kind}.yml" for kind in ("rules", "dashboard"))
    asked = set(re.findall(r"mirrorfleet_\w+", "".join(file.read_text() for file in files)))
    for name in asked - {"mirrorfleet_limit_refused_total"}:  # no turn was over a limit
        assert re.search(rf"^{name}[ {{]", shown, re.MULTILINE), name
    labels = r'\{budget="daily",name="ada"\}'
    assert re.search(rf"^mirrorfleet_budget_used_ratio{labels} 1\.0$", shown, re.MULTILINE)
    found = re.search(rf"^mirrorfleet_budget_refused_total{labels} (\S+)$", shown, re.MULTILINE)
    assert found
    assert float(found[1]) >= 4
    found = re.search(rf"^mirrorfleet_budget_resets\w+{labels} (\S+)$", shown, re.MULTILINE)
    assert found
    assert 0 < float(found[1]) - time.time() <= 86_400
