"""Thinking parameters through the real LiteLLM, and pings while an engine reads the prompt."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.litellm.conftest import GOOD
from tests.litellm.gateway import Gateway, message, planned, serving
from tests.litellm.upstream import SLOW, Upstream

ADAPTIVE = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}
DISABLED = {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 2048}}

FLEET = """
include: {good}/one-machine.yml
models:
  k2: &engine
    engine: vllm
    url: http://10.0.9.7:8000
    family: kimi-k2
    context: 65536
    output: 8192
  oss: {{<<: *engine, family: gpt-oss}}
  medium: {{<<: *engine, family: mistral-4}}
  always: {{<<: *engine, family: minimax-m2}}
aliases: {{opus: coder}}
"""


@pytest.fixture(scope="module", name="gateway")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Serve a gateway with thinking models, and one without a reasoning parser."""
    directory = tmp_path_factory.mktemp("thinking")
    path = directory / "fleet.yml"
    path.write_text(FLEET.format(good=GOOD))
    with serving(planned(path), upstream, directory) as gateway:
        yield gateway


def arrives(gateway: Gateway, upstream: Upstream, model: str, **parameters: Any) -> dict[str, Any]:
    """Return the parameters of thinking that reach the engine."""
    upstream.taken()
    assert gateway.ask("/v1/messages", message(model, **parameters)).code == 200
    [asked] = upstream.taken()
    names = ("thinking", "output_config", "chat_template_kwargs", "reasoning_effort")
    return {name: asked.body[name] for name in names if name in asked.body}


OFF = {"chat_template_kwargs": {"enable_thinking": False}}


@pytest.mark.parametrize("name", ["coder", "opus", "claude-opus-5-5"])
@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (ADAPTIVE, {"chat_template_kwargs": {"enable_thinking": True}}),
        (BUDGET, {"chat_template_kwargs": {"enable_thinking": True}}),
        (DISABLED, OFF),
        ({}, OFF),
    ],
    ids=["adaptive", "budget", "disabled", "nothing"],
)
def test_an_engine_receives_the_arguments_of_its_chat_template(
    name: str,
    sent: dict[str, Any],
    received: dict[str, Any],
    gateway: Gateway,
    upstream: Upstream,
) -> None:
    assert arrives(gateway, upstream, name, **sent) == received


@pytest.mark.parametrize(
    ("name", "on", "off"),
    [
        (
            "k2",
            {"chat_template_kwargs": {"thinking": True}},
            {"chat_template_kwargs": {"thinking": False}},
        ),
        (
            "oss",
            {"output_config": {"effort": "medium"}},
            {"output_config": {"effort": "low"}},
        ),
        (
            "medium",
            {"output_config": {"effort": "high"}},
            {"thinking": {"type": "disabled"}},
        ),
        ("always", {}, {}),
    ],
)
def test_each_family_receives_what_it_knows(
    name: str, on: dict[str, Any], off: dict[str, Any], gateway: Gateway, upstream: Upstream
) -> None:
    assert arrives(gateway, upstream, name, **ADAPTIVE) == on
    assert arrives(gateway, upstream, name, **DISABLED) == off
    assert arrives(gateway, upstream, name) == off


def test_clients_cannot_set_the_arguments_themselves(gateway: Gateway, upstream: Upstream) -> None:
    own = {"chat_template_kwargs": {"enable_thinking": True}}
    assert arrives(gateway, upstream, "coder", **own) == OFF


@pytest.mark.parametrize("parameters", [ADAPTIVE, DISABLED], ids=["adaptive", "disabled"])
def test_an_engine_without_a_reasoning_parser_gets_no_thinking(
    parameters: dict[str, Any], gateway: Gateway, upstream: Upstream
) -> None:
    assert arrives(gateway, upstream, "small", **parameters) == {}


def test_a_streaming_client_gets_pings_while_the_engine_reads_the_prompt(
    upstream: Upstream, tmp_path: Path
) -> None:
    plan = planned(GOOD / "one-machine.yml")
    often = {"litellm_settings": {"sse_keepalive_ping_interval_seconds": 1}}
    with serving(replace(plan, extra=often), upstream, tmp_path) as gateway:
        client = HTTPConnection(gateway.url.removeprefix("http://"), timeout=60)
        body = json.dumps(message("coder", SLOW, stream=True))
        started = time.monotonic()
        client.request("POST", "/v1/messages", body, gateway.headers())
        response = client.getresponse()
        first = response.readline()
        waited = time.monotonic() - started
        rest = response.read()
    assert response.status == 200
    assert b"ping" in first
    assert waited < upstream.patience, "the ping comes before the engine's first event"
    assert b"heard" in rest
