"""Settings of public LiteLLM configurations in a fleet file, served by the real LiteLLM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.litellm.conftest import GOOD, Serve
from tests.litellm.gateway import Gateway, check, message, planned
from tests.litellm.upstream import Asked, Upstream

THINKING: dict[str, Any] = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
"""Parameters of every turn of Claude Code 2.1.330."""


@pytest.fixture(name="gateway")
def running(serve: Serve) -> Gateway:
    return serve("moved-in")


def models_asked(upstream: Upstream) -> list[Asked]:
    """Return the requests to models, without those to the guardrail."""
    return [request for request in upstream.taken() if request.host != "guard.example.com"]


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.4", "gpt-5-4", "rented", "claude", "own"])
def test_every_api_answers_a_turn_of_the_client(model: str, gateway: Gateway) -> None:
    answer = gateway.ask("/v1/messages", message(model, **THINKING))
    assert answer.code == 200, answer.body


OTHER_APIS = ["own", "rented", "gpt-4o", "gpt-5.4", "gpt-5-4", "gemini"]


@pytest.mark.parametrize("model", OTHER_APIS)
def test_fast_mode_is_dropped_for_other_apis(
    model: str, gateway: Gateway, upstream: Upstream
) -> None:
    gateway.ask("/v1/messages", message(model, speed="fast"))
    [asked] = models_asked(upstream)
    assert "speed" not in asked.body


def test_fast_mode_reaches_anthropic(gateway: Gateway, upstream: Upstream) -> None:
    assert gateway.ask("/v1/messages", message("claude", speed="fast")).code == 200
    [asked] = models_asked(upstream)
    assert asked.body["speed"] == "fast"


def test_models_that_differ_in_punctuation_have_different_keys(
    gateway: Gateway, upstream: Upstream
) -> None:
    for model, header, value in (
        ("gpt-5.4", "authorization", "Bearer sk-openai_key"),
        ("gpt-5-4", "api-key", "sk-azure_key"),
    ):
        assert gateway.message(model).code == 200
        [asked] = models_asked(upstream)
        assert asked.headers[header].startswith(value)


def test_headers_of_a_model_reach_its_server(gateway: Gateway, upstream: Upstream) -> None:
    assert gateway.message("rented").code == 200
    [asked] = models_asked(upstream)
    assert (asked.headers["x-house"], asked.headers["authorization"]) == ("team", "Bearer none")
    assert asked.headers["x-api-key"].startswith("sk-house_key")


def test_gemini_gets_requests_at_the_configured_url(gateway: Gateway, upstream: Upstream) -> None:
    gateway.message("gemini")
    [asked] = models_asked(upstream)
    assert (asked.host, asked.path.partition("?")[0]) == (
        "gemini.example.com",
        "/v1beta/models/gemini-2.5-pro:generateContent",
    )


def test_windows_caps_and_prices_are_those_of_the_price_list(gateway: Gateway) -> None:
    loaded: dict[str, dict[str, Any]] = {
        entry["model_name"]: entry["model_info"]
        for entry in gateway.ask("/model/info", key=gateway.master).body["data"]
    }
    limits = {
        name: (info["max_input_tokens"] + info["max_output_tokens"], info["max_output_tokens"])
        for name, info in loaded.items()
    }
    assert limits["gpt-4o"] == (128_000, 16_384)
    assert limits["claude"] == (1_000_000, 32_000)
    assert loaded["gpt-4o"]["input_cost_per_token"] == 2.5e-06
    assert loaded["gpt-5-4"]["input_cost_per_token"] == 2.5e-06
    assert loaded["rented"]["input_cost_per_token"] == 6.6e-07


def test_the_check_accepts_it(upstream: Upstream, tmp_path: Path) -> None:
    assert check(planned(GOOD / "moved-in.yml"), upstream, tmp_path) == ""
