"""What a gateway is told beside its models, done by the real LiteLLM.

Not here: what several workers share through Redis, which is not on this machine.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.litellm.conftest import GOOD
from tests.litellm.gateway import Gateway, check, message, planned, serving
from tests.litellm.upstream import FORBIDDEN, SLOW, Asked, Upstream

PLAN = planned(GOOD / "gateway-options.yml")


@pytest.fixture(scope="module", name="gateway")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(PLAN, upstream, tmp_path_factory.mktemp("options")) as gateway:
        yield gateway


def first(upstream: Upstream, wanted: Callable[[Asked], bool]) -> Asked:
    """Wait for a request that the gateway makes by itself."""
    for _ in range(300):
        for asked in upstream.asked:
            if wanted(asked):
                return asked
        time.sleep(0.1)
    raise AssertionError("it never came")


def test_headers_of_the_client_go_to_the_models_that_are_named(
    gateway: Gateway, upstream: Upstream
) -> None:
    for model, forwarded in (("limited", "1"), ("cloud", None)):
        upstream.taken()
        # As Claude Code does: the key in both headers.
        assert gateway.message(model, x_house="1", x_api_key=gateway.key).code == 200
        asked = first(upstream, lambda each: each.path == "/v1/messages")
        assert asked.headers.get("x-house") == forwarded
        assert gateway.key not in str(asked.headers), "a developer's key stays at the gateway"


def test_a_rate_is_held_and_an_alias_is_no_way_around_it(gateway: Gateway) -> None:
    codes = [gateway.message(model).code for model in ("limited", "haiku", "limited", "haiku")]
    assert codes[-1] == 429
    assert gateway.message("cloud").code == 200


def test_a_worker_refuses_more_than_its_limit(gateway: Gateway) -> None:
    with ThreadPoolExecutor() as pool:
        codes = [
            answer.code for answer in pool.map(lambda _: gateway.message("cloud", SLOW), range(5))
        ]
    assert sorted(codes) == [200, 200, 200, 503, 503]


def test_a_streamed_answer_that_does_not_begin_is_given_up(gateway: Gateway) -> None:
    streamed = message("cloud", SLOW, stream=True)
    assert gateway.ask("/v1/messages", streamed).code == 408
    assert gateway.message("cloud", SLOW).code == 200, "`timeout` counts for what is not streamed"


@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_is_free_again_when_the_client_has_gone(
    stream: bool, gateway: Gateway, upstream: Upstream
) -> None:
    upstream.taken()
    before = upstream.hung_up
    client = HTTPConnection(gateway.url.removeprefix("http://"))
    body = json.dumps(message("cloud", SLOW, stream=stream))
    client.request("POST", "/v1/messages", body, gateway.headers())
    first(upstream, lambda each: each.path == "/v1/messages")
    client.close()
    end = time.monotonic() + 4  # before stream_timeout, and before the answer
    while time.monotonic() < end and upstream.hung_up == before:
        time.sleep(0.1)
    assert upstream.hung_up == before + 1


def test_a_guardrail_sees_every_request_with_its_key_and_can_refuse(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.taken()
    assert gateway.message("cloud").code == 200
    guard = first(upstream, lambda each: each.host == "guard.example.com")
    assert guard.headers["x-api-key"].startswith("sk-guard_key")
    upstream.taken()
    assert gateway.message("cloud", FORBIDDEN).code == 400
    assert {each.host for each in upstream.taken()} == {"guard.example.com"}


def test_a_callback_reports_with_the_secret_of_an_extra_setting(
    gateway: Gateway, upstream: Upstream
) -> None:
    assert gateway.message("cloud").code == 200
    report = first(upstream, lambda each: each.host == "logs.example.com")
    assert report.headers["x-log-key"].startswith("sk-log_key")
    assert "pong" not in str(report.body), "extra says turn_off_message_logging"


def test_metrics_are_for_the_master_key_or_at_a_port_of_their_own(gateway: Gateway) -> None:
    assert gateway.ask("/metrics/").code == 403
    assert "litellm_" in gateway.ask("/metrics/", key=gateway.master).body
    with urllib.request.urlopen(gateway.metrics, timeout=10) as response:
        assert b"litellm_" in response.read()


def test_extra_parameters_reach_the_deployment(gateway: Gateway) -> None:
    loaded = gateway.ask("/model/info", key=gateway.master).body["data"]
    assert loaded[0]["litellm_params"]["max_retries"] == 0


def test_the_check_passes_this_configuration(upstream: Upstream, tmp_path: Path) -> None:
    assert check(PLAN, upstream, tmp_path) == ""


def test_the_check_names_a_callback_that_would_be_silently_off(
    upstream: Upstream, tmp_path: Path
) -> None:
    plan = replace(PLAN, callbacks=("datadog",))
    assert "the callback 'datadog' does not start" in check(plan, upstream, tmp_path)


def test_the_check_says_in_a_line_what_litellm_refuses(upstream: Upstream, tmp_path: Path) -> None:
    policy = {"router_settings": {"retry_policy": {"TimeoutErrorRetries": "many"}}}
    said = check(replace(PLAN, extra=policy), upstream, tmp_path)
    assert "refuses what it says: ValidationError: 1 validation error for RetryPolicy" in said


def test_the_check_knows_when_a_release_has_no_place_for_what_is_ours(
    upstream: Upstream, tmp_path: Path
) -> None:
    hooks = {"LITELLM_WORKER_STARTUP_HOOKS": "mirrorfleet_gate:install,elsewhere:install"}
    said = check(replace(PLAN, environment=hooks), upstream, tmp_path)
    assert said.endswith(
        "but has no place for elsewhere: ModuleNotFoundError: No module named 'elsewhere'"
    )
