"""Deployments at every kind of provider: each name reaches its upstream with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.litellm.conftest import GOOD, Serve
from tests.litellm.gateway import Gateway, check, message, planned
from tests.litellm.upstream import SLOW, Upstream

CHAT = "/chat/completions"

# By name: the upstream of a turn, its model there, and its key.
ROUTES = {
    "groq": ("groq.example.com/openai/v1" + CHAT, "openai/gpt-oss-120b", "sk-groq_key"),
    "glm": ("openrouter.example.com" + CHAT, "z-ai/glm-4.6", "sk-openrouter_key"),
    "deepseek": ("deepseek.example.com/anthropic/v1/messages", "deepseek-chat", "sk-deepseek_key"),
    "mistral": ("mistral.example.com/v1" + CHAT, "mistral-large-latest", "sk-mistral_key"),
    "grok": ("xai.example.com/v1" + CHAT, "grok-4.20", "sk-xai_key"),
    "together": ("together.example.com/v1" + CHAT, "deepseek-ai/DeepSeek-V3", "sk-together_key"),
    "kimi": ("moonshot.example.com/v1" + CHAT, "kimi-k3", "sk-moonshot_key"),
    "foundry": ("foundry.example.com" + CHAT, "mistral-large-2407", "sk-foundry_key"),
    "elsewhere": ("192.168.7.9:11434/api/chat", "qwen3:4b", "none"),
    "azure": ("azure.example.com/openai/deployments/our-gpt" + CHAT, "our-gpt", "sk-azure_key"),
}


@pytest.fixture(name="gateway")
def running(serve: Serve) -> Gateway:
    return serve("providers-in-full")


@pytest.mark.parametrize("name", ROUTES)
def test_a_turn_reaches_the_provider(name: str, gateway: Gateway, upstream: Upstream) -> None:
    where, model, key = ROUTES[name]
    answer = gateway.message(name)
    assert (answer.code, answer.body and answer.text) == (200, "pong"), answer.body
    [asked] = upstream.taken()
    path = asked.path.partition("?")[0]
    assert (asked.host + path, asked.body.get("model", model)) == (where, model)
    sent = [asked.headers.get(header, "") for header in ("authorization", "api-key", "x-api-key")]
    assert any(key in each for each in sent)


def test_deployments_of_one_name_share_its_load_by_weight(
    gateway: Gateway, upstream: Upstream
) -> None:
    for _ in range(40):
        assert gateway.message("claude").code == 200
    hosts = [asked.host for asked in upstream.taken()]
    first, eu, bedrock = (
        hosts.count(host)
        for host in ("api.anthropic.com", "eu_anthropic.example.com", "bedrock.example.com")
    )
    assert first + eu + bedrock == 40
    # Weights of 3, 1 and 1: 24 of 40 on average; fewer than 14 in one of a thousand runs.
    assert first >= 14 and eu and bedrock


def test_a_deployment_replaces_another_that_fails(gateway: Gateway, upstream: Upstream) -> None:
    with upstream.changed(down="api.anthropic.com"):
        for _ in range(6):
            assert gateway.message("claude").code == 200
    hosts = {asked.host for asked in upstream.taken()}
    assert "openrouter.example.com" not in hosts, "the fallback is for when all of them fail"


def test_each_deployment_gets_its_own_key(gateway: Gateway, upstream: Upstream) -> None:
    keys = {}
    for _ in range(40):
        gateway.message("claude")
    for asked in upstream.taken():
        keys[asked.host] = asked.headers.get("x-api-key") or asked.headers["authorization"]
    assert keys["eu_anthropic.example.com"].startswith("sk-eu_anthropic_key")
    assert "sk-aws_key_id" in keys["bedrock.example.com"]
    assert "/eu-west-1/bedrock/" in keys["bedrock.example.com"]


def test_parameters_reach_the_provider(gateway: Gateway, upstream: Upstream) -> None:
    gateway.message("glm")
    [asked] = upstream.taken()
    assert asked.headers["x-title"].startswith("sk-title")
    gateway.message("elsewhere")
    [asked] = upstream.taken()
    assert asked.body["options"]["num_ctx"] == 32768
    assert (asked.body["keep_alive"], asked.body["think"]) == ("30m", False)


def test_a_model_has_its_own_timeout_and_retries(gateway: Gateway, upstream: Upstream) -> None:
    """The stand-in answers after 7 s; the timeout of `groq` is 5 s, and it has no retries."""
    before = upstream.hung_up
    answer = gateway.ask("/v1/messages", message("groq", SLOW))
    assert answer.code == 200, "the fallback has a longer timeout"
    assert [asked.host for asked in upstream.taken()] == [
        "groq.example.com",
        "deepseek.example.com",
    ]
    assert upstream.hung_up == before + 1


OTHERS = {
    "code-search": ("/v1/embeddings", {"input": "x"}, "voyage.example.com/v1/embeddings"),
    "embed": ("/v1/embeddings", {"input": "x"}, "api.openai.com/v1/embeddings"),
    "draw": ("/v1/images/generations", {"prompt": "x"}, "api.openai.com/v1/images/generations"),
    "speak": ("/v1/audio/speech", {"input": "x", "voice": "a"}, "api.openai.com/v1/audio/speech"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_kinds_of_models_answer(name: str, gateway: Gateway, upstream: Upstream) -> None:
    path, body, where = OTHERS[name]
    answer = gateway.ask(path, {"model": name, **body}, key=gateway.master)
    assert answer.code == 200, answer.body
    [asked] = upstream.taken()
    assert asked.host + asked.path == where


def test_what_a_model_is_for_is_shown(gateway: Gateway) -> None:
    loaded = {
        entry["model_name"]: entry["model_info"]
        for entry in gateway.ask("/model/info", key=gateway.master).body["data"]
    }
    assert loaded["code-search"]["mode"] == "embedding"
    assert loaded["code-search"]["access_groups"] == ["research"]
    assert loaded["draw"]["mode"] == "image_generation"
    assert loaded["hear"]["mode"] == "audio_transcription"
    assert loaded["claude"]["metadata"] == {"owner": "platform"}
    assert loaded["claude"]["max_input_tokens"] + loaded["claude"]["max_output_tokens"] == 500_000


def test_the_check_accepts_it(upstream: Upstream, tmp_path: Path) -> None:
    assert check(planned(GOOD / "providers-in-full.yml"), upstream, tmp_path) == ""
