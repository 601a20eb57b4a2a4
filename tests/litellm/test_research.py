"""Common manual configurations for Claude Code, written as fleet files.

The real LiteLLM serves the rendered configuration, and each name must reach the upstream of the
file. A stand-in for all upstreams records host, path, model and key of each request.

Azure with an application of Entra ID, and Vertex AI log in at the provider's own server first.
These tests only check that LiteLLM loads them.
"""

from __future__ import annotations

import pytest

from tests.litellm.conftest import GOOD, Serve
from tests.litellm.gateway import message
from tests.litellm.upstream import Upstream

FLEETS = sorted(path.stem for path in GOOD.glob("research-*.yml"))

ANTHROPIC = "api.anthropic.com/v1/messages"
AZURE = (
    "team.openai.azure.com/openai/deployments/gpt-4-turbo/chat/completions"
    "?api-version=2025-04-01-preview"
)
BEDROCK = "bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-sonnet-5-5-v1/invoke"
ENGINE = "10.0.0.1:8000/v1/messages"
OLLAMA = "10.0.0.1:11434/v1/messages"

# By fleet and name: the upstream of a request, its model there, and one of its headers.
ROUTES: dict[str, dict[str, tuple[str, str | None, str]]] = {
    "research-anthropic": {
        "claude-sonnet-5-5": (ANTHROPIC, "claude-sonnet-5-5", "x-api-key: sk-anthropic_api_key"),
        "claude-haiku-5-5": (ANTHROPIC, "claude-haiku-5-5", "x-api-key: sk-anthropic_api_key"),
        "claude-opus-5-5": (ANTHROPIC, "claude-sonnet-5-5", "x-api-key: sk-anthropic_api_key"),
        "haiku": (ANTHROPIC, "claude-haiku-5-5", "x-api-key: sk-anthropic_api_key"),
    },
    "research-many-providers": {
        "sonnet-cloud": (ANTHROPIC, "claude-sonnet-5-5", "x-api-key: sk-anthropic_api_key"),
        "claude": (ANTHROPIC, "claude-sonnet-5-5", "x-api-key: sk-anthropic_api_key"),
        "claude-bedrock": (
            BEDROCK,
            None,
            "authorization: AWS4-HMAC-SHA256 Credential=sk-aws_access",
        ),
        "llama-local": ("10.0.0.4:11434/v1/messages", "llama-local", "x-api-key: none"),
        "codellama": (ENGINE, "codellama", "x-api-key: none"),
        "claude-haiku-5-5": ("10.0.0.4:11434/v1/messages", "llama-local", ""),
    },
    "research-claude-name": {
        "claude-sonnet-5-5": (OLLAMA, "claude-sonnet-5-5", "x-api-key: none"),
        "opus": (OLLAMA, "claude-sonnet-5-5", "x-api-key: none"),
    },
    "research-openai-compatible": {
        "with-key": (
            "vllm.example.com/v1/chat/completions",
            "codellama-34b",
            "authorization: Bearer sk-vllm_api_key",
        ),
        "without-key": (
            "10.0.0.5:3000/v1/chat/completions",
            "facebook/opt-125m",
            "authorization: Bearer none",
        ),
    },
    "research-friendly-names": {
        "claude": (ANTHROPIC, "claude-sonnet-5-5", "x-api-key: sk-anthropic_api_key"),
        "gpt-4": (AZURE, "gpt-4-turbo", "api-key: sk-azure_api_key"),
        "gpt": (AZURE, "gpt-4-turbo", "api-key: sk-azure_api_key"),
        "my-custom-claude": (
            "claude.example.com/v1/messages",
            "my-deployment",
            "x-api-key: sk-custom_key",
        ),
    },
}


@pytest.mark.parametrize("name", FLEETS)
def test_every_name_reaches_its_upstream(name: str, serve: Serve, upstream: Upstream) -> None:
    gateway = serve(name)
    for model, (where, upstream_model, header) in ROUTES[name].items():
        answer = gateway.message(model)
        assert (answer.code, answer.body and answer.text) == (200, "pong"), model
        [asked] = upstream.taken()
        assert (asked.host + asked.path, asked.body.get("model")) == (where, upstream_model), model
        name, _, value = header.partition(": ")
        assert asked.headers.get(name, "").startswith(value), model


@pytest.mark.parametrize("name", FLEETS)
def test_every_model_and_alias_is_listed(name: str, serve: Serve) -> None:
    gateway = serve(name)
    listed = {entry["id"] for entry in gateway.ask("/v1/models").body["data"]}
    assert listed == {route.model for route in gateway.plan.routes} | gateway.plan.aliases.keys()


@pytest.mark.parametrize("name", FLEETS)
def test_an_unknown_model_is_400_and_a_wrong_key_401(
    name: str, serve: Serve, upstream: Upstream
) -> None:
    gateway = serve(name)
    assert gateway.message("unknown").code == 400
    assert gateway.ask("/v1/messages", message("opus"), key="sk-wrong").code == 401
    assert gateway.ask("/v1/messages", message("opus"), key="").code == 401
    assert upstream.taken() == []


def test_the_passthrough_reaches_anthropic_untranslated(serve: Serve, upstream: Upstream) -> None:
    gateway = serve("research-anthropic")
    body = message("claude-opus-4-1", thinking={"type": "enabled", "budget_tokens": 1024})
    headers = {"anthropic_beta": "context-1m", "x_api_key": gateway.key}
    assert gateway.ask("/anthropic/v1/messages", body, **headers).code == 200
    [asked] = upstream.taken()
    assert (asked.host, asked.path, asked.body) == ("api.anthropic.com", "/v1/messages", body)
    assert asked.headers["x-api-key"].startswith("sk-anthropic_api_key")
    assert asked.headers["anthropic-beta"] == "context-1m"
    assert gateway.key not in str(asked.headers), "a developer's key stays at the gateway"


def test_the_passthrough_gives_access_to_nothing_else(serve: Serve, upstream: Upstream) -> None:
    gateway = serve("research-anthropic")
    assert gateway.ask("/anthropic/v1/files").code == 403
    assert gateway.ask("/anthropic/v1/messages/batches", {"requests": []}).code == 403
    assert gateway.ask("/anthropic/v1/messages", message("x"), key="sk-wrong").code == 401
    assert upstream.taken() == []


def test_without_the_passthrough_its_path_is_refused(serve: Serve) -> None:
    gateway = serve("research-many-providers")
    assert gateway.ask("/anthropic/v1/messages", message("claude-opus-4-1")).code == 403


def test_logins_and_base_models_are_loaded(serve: Serve) -> None:
    gateway = serve("research-friendly-names")
    loaded = {
        entry["model_name"]: (entry["litellm_params"], entry["model_info"])
        for entry in gateway.ask("/model/info", key=gateway.master).body["data"]
    }
    parameters, information = loaded["gpt-5"]
    assert parameters["model"] == "azure/our-gpt-5"
    assert parameters["tenant_id"] == "8f1c6f3e-0d3b-4c0e-9a55-2f6f1d1c7a10"
    assert "api_key" not in parameters, "LiteLLM would send it instead of the login"
    assert information["base_model"] == "azure/gpt-5"
    assert information["input_cost_per_token"] > 0, "the base model's price"
    parameters, _ = loaded["vertex"]
    assert parameters["model"] == "vertex_ai/claude-sonnet-5-5"
    assert (parameters["vertex_project"], parameters["vertex_location"]) == ("team", "us-east5")
    _, information = loaded["my-custom-claude"]
    assert information["base_model"] == "anthropic/claude-sonnet-5-5"
