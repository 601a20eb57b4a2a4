"""A fallback works for every name of a model: its own, aliases, tiers and the client's IDs.

The real LiteLLM, streamed and not. It finds fallbacks by the requested name.
"""

from __future__ import annotations

import time
import urllib.request

import pytest

from tests.litellm.conftest import Serve
from tests.litellm.gateway import Answer, Gateway, message
from tests.litellm.upstream import FILTERED, OVERLONG, Upstream

ENGINE, PROVIDER, AZURE = "10.0.0.1:8001", "api.anthropic.com", "team.openai.azure.com"

CODER = ("coder", "best", "opus", "sonnet", "claude-opus-5-5", "claude-sonnet-5-5")


@pytest.fixture(name="gateway")
def running(serve: Serve) -> Gateway:
    return serve("fallbacks")


def assert_answered(answer: Answer, stream: bool) -> None:
    assert answer.code == 200
    assert ("event: message_stop" if stream else "pong") in str(answer.body)


def ask(gateway: Gateway, model: str, prompt: str, stream: bool) -> Answer:
    return gateway.ask("/v1/messages", message(model, prompt, stream=stream))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", CODER)
def test_a_fallback_answers_for_a_dead_engine(
    name: str, stream: bool, gateway: Gateway, upstream: Upstream
) -> None:
    with upstream.changed(down=ENGINE):
        answer = ask(gateway, name, "ping", stream)
    assert_answered(answer, stream)
    assert [request.host for request in upstream.taken()] == [ENGINE, PROVIDER]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", CODER)
def test_a_model_with_a_larger_window_answers_a_long_prompt(
    name: str, stream: bool, gateway: Gateway, upstream: Upstream
) -> None:
    with upstream.changed(small=ENGINE):
        answer = ask(gateway, name, OVERLONG, stream)
    assert_answered(answer, stream)
    assert [request.host for request in upstream.taken()] == [ENGINE, PROVIDER]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["azure", "our-gpt"])
def test_another_provider_answers_a_filtered_prompt(
    name: str, stream: bool, gateway: Gateway, upstream: Upstream
) -> None:
    answer = ask(gateway, name, FILTERED, stream)
    assert_answered(answer, stream)
    assert [request.host for request in upstream.taken()] == [AZURE, PROVIDER]


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_is_announced_by_headers_and_a_metric(
    stream: bool, gateway: Gateway, upstream: Upstream
) -> None:
    before = fell_back(gateway)
    assert ask(gateway, "opus", "ping", stream).headers["x-litellm-attempted-fallbacks"] == "0"
    with upstream.changed(down=ENGINE):
        headers = ask(gateway, "opus", "ping", stream).headers
    assert headers["x-litellm-attempted-fallbacks"] == "1"
    assert headers["x-litellm-model-group"] == "cloud"
    end = time.monotonic() + 10  # the metric is updated after the answer
    while fell_back(gateway) == before and time.monotonic() < end:
        time.sleep(0.1)
    assert fell_back(gateway) == before + 1


def fell_back(gateway: Gateway) -> float:
    """Return the number of fallbacks from the name `opus` to `cloud`."""
    with urllib.request.urlopen(gateway.metrics, timeout=10) as response:
        lines = response.read().decode().splitlines()
    return sum(
        float(line.split()[-1])
        for line in lines
        if line.startswith("litellm_deployment_successful_fallbacks_total{")
        and 'requested_model="opus"' in line
        and 'fallback_model="cloud"' in line
    )
