"""The cache of the real LiteLLM: never for turns of Claude Code."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.litellm.conftest import Serve
from tests.litellm.gateway import Gateway, message
from tests.litellm.upstream import Upstream

TOOL = {"name": "note", "description": "Write.", "input_schema": {"type": "object"}}
OPT_IN = {"cache": {"use-cache": True}}


@pytest.fixture(name="gateway")
def running(serve: Serve) -> Gateway:
    return serve("cached")


def asked(gateway: Gateway, upstream: Upstream, path: str, body: Any, key: str) -> int:
    """Return how many of three equal requests reach the upstream."""
    for _ in range(3):
        assert gateway.ask(path, body, key=key).code == 200
        time.sleep(0.5)  # LiteLLM stores an answer after it has sent it
    return len(upstream.taken())


def test_embeddings_are_cached(gateway: Gateway, upstream: Upstream) -> None:
    body = {"model": "embed", "input": "text"}
    assert asked(gateway, upstream, "/v1/embeddings", body, gateway.master) == 1


def test_a_conversation_is_not_cached(gateway: Gateway, upstream: Upstream) -> None:
    body = {"model": "translated", "messages": [{"role": "user", "content": "a"}]}
    assert asked(gateway, upstream, "/v1/chat/completions", body, gateway.master) == 3


@pytest.mark.parametrize("name", ["translated", "claude"])
@pytest.mark.parametrize("more", [{}, {"tools": [TOOL]}, OPT_IN], ids=["plain", "tool", "asked"])
def test_a_turn_of_claude_code_is_never_cached(
    name: str, more: dict[str, Any], gateway: Gateway, upstream: Upstream
) -> None:
    body = message(name, "the same", **more)
    assert asked(gateway, upstream, "/v1/messages", body, gateway.key) == 3
