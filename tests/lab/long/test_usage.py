"""Ledgers and budgets of two gateways with two workers each and a Redis, with the real client.

The ledgers' totals are compared with what the engines report: vLLM in its metrics, a stand-in on
this machine turn by turn. It reports 3 tokens of the prompt and 1 of the answer for a whole turn,
and other tokens for each prompt of a stream.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
import shlex
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab import ask, look
from tests.lab.hosts import BY_NAME
from tests.lab.hosts import GATEWAY as HERE
from tests.lab.look import GATEWAYS
from tests.litellm.counted_answers import SLOWLY, events, tokens
from tests.litellm.upstream import Upstream, upstream

PORT = 8098

LEDGER = "/var/lib/mirrorfleet/litellm/usage-1.sqlite"

AMOUNT = 1_000_000

LARGE = 100_000
"""A prompt with this number uses a fifth of the budget, turns of the client a small part."""

COMPLETE = 15
"""Seconds after which every worker knows the amounts of the other gateway: it publishes all its own
every ten seconds, on an idle machine, and then gets the others'."""

PERIOD = 1800
"""Most seconds of this module, deploy included: no budget may be reset meanwhile."""

ANCHOR = "\ngateway:\n"
MODEL = """\
  {name}:
    {{provider: anthropic, id: {name}, url: "http://{ip}:{port}/{name}",
      api_key: {{file: ../.lab/secrets/engine}}, context: 131072, output: 8192}}
"""
MODELS = "".join(MODEL.format(name=name, ip=HERE.ip, port=PORT) for name in ("steady", "spare"))
CHANGED = f"""\
{MODELS}
fallbacks: {{steady: [spare]}}

gateway:
  usage: {{}}
  probe: [tiny]
  redis: {{install: gpu, password: {{file: redis}}}}
  budgets: {{daily: {{per: person, tokens: 1M, period: day}}}}
"""
DEVELOPERS = "\ndevelopers:\n"
OTHERS = (
    "  others: {hosts: [dev], users: [grace], model: sonnet, version: 2.1.331, key: {file: others},"
    " ca_certificates: {push: ../.lab/tls/authority.pem}}\n"
)

QUERY = """
import json, sqlite3, sys
ledger = sqlite3.connect(sys.argv[1], timeout=30)
print(json.dumps(ledger.execute(sys.argv[2]).fetchall()))
"""

COLUMNS = "outcome, model, status, fallback, estimated, input, cache_read, cache_write, output"


@pytest.fixture(scope="module", name="stand_in")
def answering() -> Iterator[Upstream]:
    with upstream(str(HERE.ip), PORT) as found:
        found.events = events
        yield found


@pytest.fixture(scope="module", name="others", autouse=True)
def deployed(stand_in: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Deploy the lab's fleet with usage and a budget; yield the key of another person."""
    fleet = look.variant(tmp_path_factory.mktemp("usage"), ANCHOR, CHANGED)
    text = fleet.read_text("utf-8")
    assert text.count(DEVELOPERS) == 1
    fleet.write_text(text.replace(DEVELOPERS, DEVELOPERS + OTHERS), "utf-8")
    key = f"sk-{secrets.token_hex(24)}"
    for name, value in (("others", key), ("redis", secrets.token_hex(24))):
        (fleet.parent / name).touch(0o600)
        (fleet.parent / name).write_text(value)
    left = 86_400 - time.time() % 86_400
    time.sleep(left + 1 if left < PERIOD else 0)
    forget()  # an earlier run may have spent the budget of today
    try:
        done = look.mirror(fleet=fleet)
        assert done.returncode == 0, done.stdout + done.stderr
        yield key
    finally:
        assert look.mirror().returncode == 0
        forget()


def forget() -> None:
    """Delete the ledgers, while the gateways do not record."""
    for name in GATEWAYS:
        look.run(name, f"rm -f {LEDGER} {LEDGER}-wal {LEDGER}-shm")


def rows(condition: str, columns: str = COLUMNS) -> list[list[Any]]:
    """Return columns of turns in both ledgers."""
    query = f"SELECT {columns} FROM turns WHERE {condition}"
    command = f"[ ! -e {LEDGER} ] || python3 - {LEDGER} {shlex.quote(query)}"
    return [row for name in GATEWAYS for row in json.loads(look.run(name, command, QUERY) or "[]")]


def until(
    condition: Callable[[], bool], seconds: float = 60, found: Callable[[], object] = lambda: ""
) -> None:
    """Wait for a condition. If it does not come, the failure has what ``found`` returns."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, found()
        time.sleep(0.5)


def turn(at: int, key: str, number: int, **more: Any) -> tuple[str, int, Any]:
    """Send a turn to a gateway; return its session, the status, and the answer.

    With ``cut``, the client leaves after some bytes.
    """
    session, cut = str(uuid.uuid4()), more.pop("cut", False)
    content = f"number {number} {SLOWLY if cut else ''}"
    body = {"model": "steady", "max_tokens": 64, **more}
    body["messages"] = [{"role": "user", "content": content}]
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "X-Claude-Code-Session-Id": session,
    }
    address = str(BY_NAME[GATEWAYS[at]].address)
    connection = http.client.HTTPConnection(address, 4000, timeout=60)
    try:
        connection.request("POST", "/v1/messages", json.dumps(body), headers)
        response = connection.getresponse()
        if cut:
            response.read(900)
            response.close()
            return session, response.status, None
        answer = response.read()
        parsed = json.loads(answer) if not body.get("stream") or response.status >= 400 else answer
        return session, response.status, parsed
    finally:
        connection.close()


def row(session: str) -> list[Any]:
    """Return the row of a turn, once it is in a ledger."""
    until(lambda: bool(rows(f"session = '{session}'")), found=lambda: f"{session} has no row")
    [found] = rows(f"session = '{session}'")
    return found


def engine() -> tuple[int, int]:
    """Return the tokens of prompts and of answers that vLLM has counted since its start."""
    address = BY_NAME["gpu"].address
    metrics = look.run("gw-1", f"curl -fsS --noproxy '*' http://{address}:8000/metrics")

    def total(kind: str) -> int:
        found = re.findall(rf"^vllm:{kind}_tokens_total\{{.*\}} (\S+)$", metrics, re.MULTILINE)
        return round(sum(map(float, found)))

    return total("prompt"), total("generation")


def used(gateway: str, key: str) -> int:
    """Return what a person has used of the budget, as a gateway shows it."""
    status, text = look.http_status(gateway, 4000, "/mirrorfleet/usage", key=key)
    assert status == 200, text
    return int(json.loads(text)["budgets"][0]["used"])


def is_spent(status: int, answer: Any) -> bool:
    return status == 429 and answer["error"]["type"] == "billing_error"


def test_whole_and_streamed_turns_have_the_tokens_of_the_engine(others: str) -> None:
    streamed = [turn(number % 2, others, number, stream=True) for number in range(8)]
    whole = [turn(number % 2, others, number) for number in range(4)]
    assert {status for _, status, _ in streamed + whole} == {200}
    for number, (session, _, _) in enumerate(streamed):
        counted = tokens({"messages": f"number {number}"})
        assert row(session) == ["complete", "steady", 200, 0, 0, *counted]
    for session, _, _ in whole:
        assert row(session) == ["complete", "steady", 200, 0, 0, 3, 0, 0, 1]


def test_a_turn_that_is_cut_has_the_prompt_of_the_engine(others: str) -> None:
    session, _, _ = turn(0, others, 3, stream=True, cut=True)
    new, read, written, _ = tokens({"messages": "number 3"})
    *found, output = row(session)
    assert found == ["cut", "steady", 499, 0, 1, new, read, written]
    assert 0 < output <= 30


def test_turns_of_the_real_client_have_the_tokens_of_vllm() -> None:
    """vLLM counts a prompt whole, with what its prefix cache had, and no request for a count."""
    condition = "model = 'tiny'"

    def recorded() -> tuple[int, int]:
        counted = rows(condition, "input + cache_read + cache_write, output")
        return sum(prompt for prompt, _ in counted), sum(answer for _, answer in counted)

    def since() -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the tokens since the start of the test: in the ledgers, and at the engine."""
        ledgers, counted = recorded(), engine()
        return (
            (ledgers[0] - before[0][0], ledgers[1] - before[0][1]),
            (counted[0] - before[1][0], counted[1] - before[1][1]),
        )

    def is_equal() -> bool:
        ledgers, counted = since()
        return ledgers == counted and all(counted)

    before = recorded(), engine()
    answer = ask.claude(ask.QUESTION)
    assert answer.succeeded, answer
    until(is_equal, found=lambda: (since(), rows(condition)))
    assert {(*each,) for each in rows(f"{condition} AND person = 'lab'", "outcome, model")} == {
        ("complete", "tiny")
    }


def test_a_spent_budget_stops_the_real_client_and_no_other_user(others: str) -> None:
    lab = look.secret("developers")
    for number in range(20):
        _, status, answer = turn(number % 2, lab, LARGE, stream=True)
        if status != 200:
            break
        assert max(used(name, lab) for name in GATEWAYS) < AMOUNT + 250_000
        time.sleep(2.5)  # until all gateways know
    assert is_spent(status, answer), answer
    assert answer["error"]["message"].startswith("The daily budget 'daily' of lab is spent: ")
    assert 4 <= number <= 6
    began = time.monotonic()
    client = ask.as_developer("claude", "-p", ask.QUESTION)
    assert "The daily budget 'daily' of lab is spent" in client.stdout + client.stderr
    assert client.returncode == 1
    assert time.monotonic() - began < 60, "it retried"
    assert [turn(at % 2, others, 1)[1] for at in range(4)] == [200] * 4


def test_redis_is_killed_and_comes_back(others: str) -> None:
    lab = look.secret("developers")
    time.sleep(COMPLETE)
    look.run("gpu", "systemctl kill -s KILL mirrorfleet-redis; systemctl stop mirrorfleet-redis")
    try:
        for at in range(2):
            assert is_spent(*turn(at, lab, 1)[1:]), "the last known amounts count"
        away = [turn(at % 2, others, LARGE, stream=True) for at in range(2)]
        assert [status for _, status, _ in away] == [200, 200], "no user is shut out"
        for session, _, _ in away:
            row(session)
    finally:
        look.run("gpu", "systemctl start mirrorfleet-redis")
    sums = "sum(input + cache_write + output + 0.1 * cache_read)"
    expected = sum(each for [each] in rows("person = 'others'", sums))
    until(lambda: all(abs(used(name, others) - expected) <= 2 for name in GATEWAYS))
    for at in range(2):
        assert is_spent(*turn(at, lab, 1)[1:])
        assert turn(at, others, 1)[1] == 200


def test_turns_that_fall_back_or_fail(stand_in: Upstream, others: str) -> None:
    stand_in.down = "steady"
    try:
        session, status, _ = turn(0, others, 7, stream=True)
        assert status == 200
        assert row(session) == [
            *("complete", "spare", 200, 1, 0, *tokens({"messages": "number 7"})),
        ]
        stand_in.is_down = True
        session, status, _ = turn(1, others, 8)
    finally:
        stand_in.down, stand_in.is_down = "", False
    assert status >= 500
    outcome, _, recorded, _, estimated, *counted = row(session)
    assert (outcome, recorded, estimated, counted) == ("failed", status, 0, [0, 0, 0, 0])


def test_the_sums_of_days_are_those_of_the_rows() -> None:
    sums = ", ".join(f"sum({name})" for name in ("input", "cache_read", "output", "latency"))
    query = (
        f"SELECT * FROM (SELECT count(*), {sums} FROM turns), (SELECT sum(turns), {sums} FROM days)"
    )
    for name in GATEWAYS:
        command = f"python3 - {LEDGER} {shlex.quote(query)}"
        [both] = json.loads(look.run(name, command, QUERY))
        assert both[:5] == both[5:]
