"""Ids of Claude that the fleet does not serve, through the real LiteLLM."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.litellm.conftest import GOOD
from tests.litellm.gateway import Gateway, message, planned, serving
from tests.litellm.upstream import Upstream

ENGINE, EXTERNAL, ANTHROPIC = "10.0.0.1:8001", "10.0.9.7:8000", "api.anthropic.com"
HAIKU = "claude-haiku-4-5-20251001"


@pytest.fixture(scope="module", name="gateway")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    plan, directory = planned(GOOD / "web-search.yml"), tmp_path_factory.mktemp("foreign")
    with serving(plan, upstream, directory) as gateway:
        yield gateway


def key(gateway: Gateway, group: str) -> str:
    [found] = [each.key for each in gateway.plan.keys if each.group == group]
    return gateway.secrets[found]


def metric(gateway: Gateway, tier: str, model: str) -> float:
    with urllib.request.urlopen(gateway.metrics, timeout=10) as response:
        lines = response.read().decode().splitlines()
    start = f'mirrorfleet_requests_renamed_total{{model="{model}",tier="{tier}"}}'
    return sum(float(line.split()[-1]) for line in lines if line.startswith(start))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("requested", "group", "host"),
    [
        (HAIKU, "team", EXTERNAL),
        ("claude-3-5-haiku-latest", "team", EXTERNAL),
        ("claude-sonnet-4-5[1m]", "team", ENGINE),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "team", ENGINE),
        ("claude-opus-4-1@20250805", "team", ANTHROPIC),
        ("claude-fable-4", "team", ENGINE),
        (HAIKU, "small", ENGINE),
        ("claude-opus-4-1", "small", ENGINE),
    ],
)
def test_the_model_of_the_groups_tier_answers(
    requested: str, group: str, host: str, stream: bool, gateway: Gateway, upstream: Upstream
) -> None:
    """No alias says fable, and all groups have `coder` for it; `small` may use `coder` only."""
    upstream.taken()
    body = message(requested, stream=stream)
    assert gateway.ask("/v1/messages", body, key(gateway, group)).code == 200
    assert [request.host for request in upstream.taken()] == [host]


@pytest.mark.parametrize(
    "requested", ["claude-2.1", "claude", "gpt-4o", "sonnet-of-shakespeare", "claude-opus-haiku"]
)
def test_an_id_without_one_tier_is_rejected(
    requested: str, gateway: Gateway, upstream: Upstream
) -> None:
    upstream.taken()
    assert gateway.message(requested).code == 400
    assert upstream.taken() == []


def test_an_id_that_the_fleet_serves_keeps_its_model_and_its_limits(
    gateway: Gateway, upstream: Upstream
) -> None:
    """`claude-opus-5-5` is an id of `cloud`, which `small` may not use."""
    upstream.taken()
    assert gateway.message("claude-opus-5-5").code == 200
    assert [request.host for request in upstream.taken()] == [ANTHROPIC]
    answer = gateway.ask("/v1/messages", message("claude-opus-5-5"), key(gateway, "small"))
    assert answer.code in (401, 403)
    assert upstream.taken() == []


def test_a_fallback_answers_for_a_renamed_id(gateway: Gateway, upstream: Upstream) -> None:
    upstream.taken()
    with upstream.changed(down=ENGINE):
        answer = gateway.message("claude-3-5-sonnet-latest")
    assert answer.code == 200
    assert answer.headers["x-litellm-model-group"] == "cloud"
    assert [request.host for request in upstream.taken()] == [ENGINE, ANTHROPIC]


def test_renamed_requests_are_counted_and_logged_once(gateway: Gateway) -> None:
    before = metric(gateway, "haiku", "other")
    for _ in range(2):
        gateway.message("claude-haiku-9-9")
    assert metric(gateway, "haiku", "other") == before + 2
    log = (gateway.directory / "log").read_text()
    assert log.count("other answers requests for 'claude-haiku-9-9'") == 1


def test_tokens_of_a_foreign_id_are_counted(gateway: Gateway) -> None:
    answer = gateway.ask("/v1/messages/count_tokens", message(HAIKU))
    assert answer.code == 200
    assert answer.body["input_tokens"] > 0


def test_the_list_of_models_has_no_foreign_id(gateway: Gateway) -> None:
    served = {model["id"] for model in gateway.ask("/v1/models").body["data"]}
    assert served == {*gateway.plan.aliases, "coder", "other", "rock", "cloud"}


def test_it_can_be_turned_off(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(f"include: {GOOD}/web-search.yml\ngateway: {{foreign_ids: reject}}\n")
    with serving(planned(path), upstream, tmp_path) as gateway:
        upstream.taken()
        assert gateway.message(HAIKU).code == 400
        assert gateway.message("haiku").code == 200
        assert [request.host for request in upstream.taken()] == [EXTERNAL]
