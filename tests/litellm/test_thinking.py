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

ADAPTIVE = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
DISABLED = {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}


@pytest.fixture(scope="module", name="gateway")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Serve a gateway with a thinking model, and one without a reasoning parser."""
    directory = tmp_path_factory.mktemp("thinking")
    path = directory / "fleet.yml"
    path.write_text(f"include: {GOOD}/one-machine.yml\naliases: {{opus: coder}}\n")
    with serving(planned(path), upstream, directory) as gateway:
        yield gateway


def arrives(gateway: Gateway, upstream: Upstream, model: str, **parameters: Any) -> dict[str, Any]:
    """Return the parameters that reach the engine."""
    upstream.taken()
    assert gateway.ask("/v1/messages", message(model, **parameters)).code == 200
    [asked] = upstream.taken()
    return {name: asked.body[name] for name in parameters if name in asked.body}


@pytest.mark.parametrize("name", ["coder", "opus", "claude-opus-5-5"])
@pytest.mark.parametrize("parameters", [ADAPTIVE, DISABLED], ids=["adaptive", "disabled"])
def test_thinking_and_effort_reach_an_engine_with_a_reasoning_parser(
    name: str, parameters: dict[str, Any], gateway: Gateway, upstream: Upstream
) -> None:
    assert arrives(gateway, upstream, name, **parameters) == parameters


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
        client = HTTPConnection(gateway.url.removeprefix("http://"))
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
