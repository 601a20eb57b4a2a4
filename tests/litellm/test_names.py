"""Names that other clients request, and wildcards: each reaches its model with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.litellm.conftest import GOOD, Serve
from tests.litellm.gateway import Gateway, check, planned
from tests.litellm.upstream import Upstream

# By name: the host of a turn, the model there, and the start of the key.
ROUTES = {
    "openrouter/z-ai/glm-4.6": ("openrouter.example.com", "z-ai/glm-4.6", "sk-openrouter_key"),
    "openrouter/moonshotai/kimi-k3": (
        "openrouter.example.com",
        "moonshotai/kimi-k3",
        "sk-openrouter_key",
    ),
    "opus": ("openrouter.example.com", "z-ai/glm-4.6", "sk-openrouter_key"),
    "claude-opus-5-5": ("api.anthropic.com", "claude-opus-5-5", "sk-anthropic_key"),
    "claude-3-5-haiku-20241022": ("api.anthropic.com", "claude-sonnet-5-5", "sk-old_key"),
    "GPT-4o": ("api.openai.com", "gpt-4o", "sk-openai_key"),
    "openai/gpt-4o:latest": ("api.openai.com", "gpt-4o", "sk-openai_key"),
    "gpt-4o": ("team.openai.azure.com", "our-gpt", "sk-azure_key"),
    "qwen3:4b": ("10.0.0.9:8000", "qwen3:4b", ""),
    "Qwen/Qwen3-Coder_30B": ("qwen.example.com", "qwen", "none"),
    "sonnet": ("qwen.example.com", "qwen", "none"),
}


@pytest.fixture(name="gateway")
def running(serve: Serve) -> Gateway:
    return serve("names-of-other-clients")


@pytest.mark.parametrize("name", ROUTES)
def test_a_name_reaches_its_model(name: str, gateway: Gateway, upstream: Upstream) -> None:
    host, model, key = ROUTES[name]
    answer = gateway.message(name)
    assert answer.code == 200, answer.body
    [asked] = upstream.taken()
    assert (asked.host, asked.body.get("model", model)) == (host, model)
    sent = [asked.headers.get(header, "") for header in ("authorization", "api-key", "x-api-key")]
    assert any(key in each for each in sent)


def test_a_name_of_a_wildcard_has_its_fallback(gateway: Gateway, upstream: Upstream) -> None:
    with upstream.changed(down="openrouter.example.com"):
        assert gateway.message("opus").code == 200
        assert gateway.message("openrouter/z-ai/glm-4.6").code == 200
        assert gateway.message("openrouter/other").code != 200, "it has no fallback"
    assert "team.openai.azure.com" in {asked.host for asked in upstream.taken()}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("claude-opus-5-5", 200),
        ("claude-3-5-haiku-20241022", 200),
        ("qwen3:4b", 200),
        ("GPT-4o", 403),
        ("openrouter/z-ai/glm-4.6", 403),
    ],
)
def test_a_key_for_a_wildcard_opens_its_names(name: str, code: int, gateway: Gateway) -> None:
    [key] = [entry.key for entry in gateway.plan.keys if entry.group == "limited"]
    answer = gateway.ask(
        "/v1/messages",
        {"model": name, "max_tokens": 8, "messages": [{"role": "user", "content": "ping"}]},
        key=gateway.secrets[key],
    )
    assert answer.code == code, answer.body


def test_the_check_accepts_it(upstream: Upstream, tmp_path: Path) -> None:
    assert check(planned(GOOD / "names-of-other-clients.yml"), upstream, tmp_path) == ""
