"""Limits and budgets: two gateways with two workers each, the real LiteLLM and a real Redis.

The stand-in reports 3 tokens of the prompt and 1 of the answer for each turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from mirrorfleet.config.limits import TurnLimits, Turns
from tests.litellm.conftest import GOOD
from tests.litellm.gateway import message, planned
from tests.litellm.limited_fleet import DAILY, Fleet, codes, two_gateways, until, used
from tests.litellm.redis_server import needed
from tests.litellm.upstream import SLOW, Upstream

pytestmark = needed


@pytest.fixture(scope="module", name="fleet")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with two_gateways(planned(GOOD / "limits.yml"), upstream, tmp_path_factory.mktemp) as fleet:
        yield fleet


def test_requests_per_minute_are_exact_at_all_workers_and_gateways(fleet: Fleet) -> None:
    fleet.apply(TurnLimits(per_person=Turns(6, None)))
    answers = fleet.at_once("ada", 16)
    assert codes(answers) == [200] * 6 + [429] * 10
    refused = next(answer for answer in answers if answer.code == 429)
    assert refused.body["error"]["type"] == "rate_limit_error"
    assert refused.body["error"]["message"].startswith(
        "The limit of ada is 6 requests per minute. Try again in "
    )
    assert 50 < int(refused.headers["retry-after"]) <= 60
    assert codes(fleet.at_once("bob", 4)) == [200] * 4


def test_a_person_and_the_group_have_own_limits(fleet: Fleet) -> None:
    fleet.apply(TurnLimits(groups={"interns": Turns(2, None)}, people={"bob": Turns(1, None)}))
    assert codes(fleet.at_once("lin", 4)) == [200, 200, 429, 429]
    assert codes(fleet.at_once("ada", 4)) == [200] * 4


def test_turns_at_the_same_time_are_exact(
    fleet: Fleet, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "patience", 4)
    fleet.apply(TurnLimits(models={"coder": Turns(None, 3)}))
    answers = fleet.at_once("ada", 8, SLOW)
    assert codes(answers) == [200] * 3 + [429] * 5
    refused = next(answer for answer in answers if answer.code == 429)
    assert refused.headers["retry-after"] == "2"
    text = "The limit of the model coder is 3 requests at the same time. Try again in 2 s."
    assert refused.body["error"]["message"] == text
    assert fleet.ask("ada", model="opus").code == 200, "another model"
    assert codes(fleet.at_once("bob", 3)) == [200] * 3, "after the others have ended"


def test_token_counts_have_no_limit(fleet: Fleet) -> None:
    fleet.apply(TurnLimits(fleet=Turns(1, None)))
    gateway, body = fleet.gateways[0], message("coder")
    found = [
        gateway.ask("/v1/messages/count_tokens", body, fleet.key("lin")).code for _ in range(4)
    ]
    assert found == [200] * 4


def test_a_spent_budget_stops_only_the_person(fleet: Fleet) -> None:
    fleet.apply(None, DAILY)
    fleet.spend(0, "ada", 45_000)
    until(lambda: used(fleet, "ada", at=1) == 45)
    assert "x-mirrorfleet-budget" not in fleet.ask("ada", at=1).headers
    fleet.spend(1, "ada", 40_000)
    until(lambda: used(fleet, "ada") == 85)
    warned = fleet.ask("ada").headers["x-mirrorfleet-budget"]
    assert warned.startswith("daily; used=85%; resets=")
    fleet.spend(1, "ada", 20_000)
    until(lambda: used(fleet, "ada") >= 100)
    for at, path in ((0, "/v1/messages"), (1, "/v1/messages"), (0, "/v1/messages/count_tokens")):
        refused = fleet.gateways[at].ask(path, message("coder"), fleet.key("ada"))
        assert refused.code == 429
        assert refused.body["error"]["type"] == "billing_error"
        assert refused.headers["x-should-retry"] == "false"
        assert 0 < int(refused.headers["retry-after"]) <= 86_400
        text = refused.body["error"]["message"]
        assert text.startswith("The daily budget 'daily' of ada is spent: 105,")
        assert "of 100,000 tokens. It starts again on " in text
        assert text.endswith("00:00 UTC.")
    assert codes(fleet.at_once("bob", 4)) == [200] * 4
    assert used(fleet, "bob") == 0


def test_a_new_key_and_a_larger_amount(fleet: Fleet) -> None:
    fleet.apply(None, DAILY)
    until(lambda: used(fleet, "ada") >= 100)
    first = fleet.gateways[0]
    old, new_key = fleet.rotate(DAILY)
    body = message("coder")
    assert first.ask("/v1/messages", body, old).code == 401, "revoked"
    assert first.ask("/v1/messages", body, new_key).code == 429, "the person's count stays"
    fleet.apply(None, replace(DAILY, exceptions={"ada": 900_000}))
    assert fleet.ask("ada").code == 200
    fleet.apply(None, replace(DAILY, exceptions={"ada": None}))
    assert fleet.ask("ada").code == 200


def test_a_fallback_into_a_spent_budget_is_refused(
    fleet: Fleet, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "down", "10.0.9.7:8000")
    cloud = replace(DAILY, name="cloud", models=("cloud",))
    fleet.apply(None, cloud)
    assert fleet.ask("ada").code == 200, "answered by the fallback"
    fleet.spend(0, "ada", 100_000, "cloud")
    until(lambda: used(fleet, "ada") >= 100)
    for at in range(2):
        refused = fleet.ask("ada", at)
        assert refused.code == 429
        assert refused.body["error"]["type"] == "billing_error"
        assert "'cloud' of ada is spent" in refused.body["error"]["message"]
    assert fleet.ask("bob").code == 200, "no cooldown for others"
    monkeypatch.setattr(upstream, "down", "")
    assert fleet.ask("ada").code == 200, "the model itself has no budget"
    assert fleet.ask("ada", model="opus").code == 429


def test_the_own_usage_shows_nothing_of_others(fleet: Fleet) -> None:
    fleet.apply(TurnLimits(per_person=Turns(60, 8)), replace(DAILY, name="small"))
    first = fleet.gateways[0]

    def own(person: str) -> dict[str, Any]:
        body: dict[str, Any] = first.ask("/mirrorfleet/usage", key=fleet.key(person)).body
        return body

    # Two turns of a test before, each of 4 tokens, once this worker knows the other gateway's.
    until(lambda: own("lin")["budgets"][0]["left"] == 100_000 - 2 * 4, 60)
    found = own("lin")
    assert (found["person"], found["group"]) == ("lin", "interns")
    assert found["limits"] == [{"of": "person", "requests_per_minute": 60, "parallel": 8}]
    assert "ada" not in str(found)
    assert first.ask("/mirrorfleet/usage", key="sk-wrong").code == 401
    assert first.ask("/mirrorfleet/usage", {}, fleet.key("lin")).code == 405

    until(lambda: own("ada")["week"]["prompt"] >= 200_000, 60)


def test_without_redis_turns_pass_and_nothing_is_lost(fleet: Fleet) -> None:
    fleet.apply(TurnLimits(per_person=Turns(1000, 100)), replace(DAILY, name="away"))
    # Every worker must know it before Redis is away: ten answers are of all of them.
    until(lambda: all(used(fleet, "ada", at) >= 100 for at in [0, 1] * 10), 60)
    fleet.redis.kill()
    assert codes(fleet.at_once("bob", 6)) == [200] * 6
    assert codes(fleet.at_once("ada", 4)) == [429] * 4, "the last known amounts count"
    fleet.spend(0, "bob", 60_000)
    fleet.spend(1, "bob", 70_000)
    until(lambda: used(fleet, "bob", 0) == 60 and used(fleet, "bob", 1) == 70)
    fleet.redis.start()
    until(lambda: used(fleet, "bob", 0) == 130 and used(fleet, "bob", 1) == 130, 60)
    assert codes(fleet.at_once("bob", 2)) == [429] * 2
    assert codes(fleet.at_once("lin", 2)) == [200] * 2
