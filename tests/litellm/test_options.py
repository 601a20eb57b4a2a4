"""The options of a gateway besides its models, with the real LiteLLM.

Rates that workers share through Redis are in test_redis.py.
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


def first(upstream: Upstream, matches: Callable[[Asked], bool]) -> Asked:
    """Wait for a request of the gateway that matches, and return it."""
    for _ in range(300):
        for asked in upstream.asked:
            if matches(asked):
                return asked
        time.sleep(0.1)
    raise AssertionError("no request matches")


def test_client_headers_are_forwarded_to_the_configured_models(
    gateway: Gateway, upstream: Upstream
) -> None:
    for model, forwarded in (("limited", "1"), ("cloud", None)):
        upstream.taken()
        # Claude Code sends the key in both headers.
        assert gateway.message(model, x_house="1", x_api_key=gateway.key).code == 200
        asked = first(upstream, lambda request: request.path == "/v1/messages")
        assert asked.headers.get("x-house") == forwarded
        assert gateway.key not in str(asked.headers), "a developer's key stays at the gateway"


def test_a_rate_also_applies_to_aliases(gateway: Gateway) -> None:
    codes = [gateway.message(model).code for model in ("limited", "haiku", "limited", "haiku")]
    assert codes[-1] == 429
    assert gateway.message("cloud").code == 200


def test_a_worker_refuses_more_than_its_limit(gateway: Gateway) -> None:
    with ThreadPoolExecutor() as pool:
        codes = [
            answer.code for answer in pool.map(lambda _: gateway.message("cloud", SLOW), range(5))
        ]
    assert sorted(codes) == [200, 200, 200, 503, 503]


def test_a_streamed_answer_without_a_first_event_times_out(gateway: Gateway) -> None:
    streamed = message("cloud", SLOW, stream=True)
    assert gateway.ask("/v1/messages", streamed).code == 408
    assert gateway.message("cloud", SLOW).code == 200, (
        "`timeout` applies to an answer without a stream"
    )


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_to_the_engine_ends_when_the_client_disconnects(
    stream: bool, gateway: Gateway, upstream: Upstream
) -> None:
    upstream.taken()
    before = upstream.hung_up
    client = HTTPConnection(gateway.url.removeprefix("http://"), timeout=60)
    body = json.dumps(message("cloud", SLOW, stream=stream))
    client.request("POST", "/v1/messages", body, gateway.headers())
    first(upstream, lambda request: request.path == "/v1/messages")
    client.close()
    end = time.monotonic() + 4  # before stream_timeout, and before the answer
    while time.monotonic() < end and upstream.hung_up == before:
        time.sleep(0.1)
    assert upstream.hung_up == before + 1


def test_a_guardrail_gets_every_request_and_can_refuse_it(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.taken()
    assert gateway.message("cloud").code == 200
    guard = first(upstream, lambda request: request.host == "guard.example.com")
    assert guard.headers["x-api-key"].startswith("sk-guard_key")
    upstream.taken()
    assert gateway.message("cloud", FORBIDDEN).code == 400
    assert {request.host for request in upstream.taken()} == {"guard.example.com"}


def test_a_callback_reports_with_the_secret_of_an_extra_setting(
    gateway: Gateway, upstream: Upstream
) -> None:
    assert gateway.message("cloud").code == 200
    report = first(upstream, lambda request: request.host == "logs.example.com")
    assert report.headers["x-log-key"].startswith("sk-log_key")
    assert "pong" not in str(report.body), "extra sets turn_off_message_logging"


def test_metrics_need_the_master_key_or_have_their_own_port(gateway: Gateway) -> None:
    assert gateway.ask("/metrics/").code == 403
    assert "litellm_" in gateway.ask("/metrics/", key=gateway.master).body
    with urllib.request.urlopen(gateway.metrics, timeout=10) as response:
        assert b"litellm_" in response.read()


def test_extra_parameters_reach_the_deployment(gateway: Gateway) -> None:
    loaded = gateway.ask("/model/info", key=gateway.master).body["data"]
    assert loaded[0]["litellm_params"]["max_retries"] == 0


def test_the_check_accepts_this_configuration(upstream: Upstream, tmp_path: Path) -> None:
    assert check(PLAN, upstream, tmp_path) == ""


def test_the_check_reports_a_callback_that_does_not_start(
    upstream: Upstream, tmp_path: Path
) -> None:
    plan = replace(PLAN, callbacks=("datadog",))
    assert "the callback 'datadog' does not start" in check(plan, upstream, tmp_path)


def test_the_check_reports_an_error_of_litellm_in_one_line(
    upstream: Upstream, tmp_path: Path
) -> None:
    policy = {"router_settings": {"retry_policy": {"TimeoutErrorRetries": "many"}}}
    complaint = check(replace(PLAN, extra=policy), upstream, tmp_path)
    assert "rejects its content: ValidationError: 1 validation error for RetryPolicy" in complaint


def test_the_check_reports_a_startup_hook_that_fails(upstream: Upstream, tmp_path: Path) -> None:
    hooks = {"LITELLM_WORKER_STARTUP_HOOKS": "mirrorfleet_readiness:install,elsewhere:install"}
    complaint = check(replace(PLAN, environment=hooks), upstream, tmp_path)
    assert complaint.endswith(
        "but its release does not support elsewhere: "
        "ModuleNotFoundError: No module named 'elsewhere'"
    )
