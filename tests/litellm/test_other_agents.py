"""OpenAI's API for the keys of a group that may use other agents, through the real LiteLLM."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mirrorfleet.roles.litellm.render import served_names
from tests.litellm.conftest import GOOD, Serve
from tests.litellm.gateway import Gateway, message, planned
from tests.litellm.upstream import Upstream

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
MESSAGES = [{"role": "user", "content": "ping"}]
FUNCTION = {"name": "look", "parameters": {"type": "object", "properties": {}}}

BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"model": "coder", "messages": MESSAGES},
    RESPONSES: {"model": "coder", "input": "ping"},
    EMBEDDINGS: {"model": "notes", "input": ["ping"]},
}


@pytest.fixture(name="gateway")
def running(serve: Serve) -> Gateway:
    return serve("other-agents")


def key(gateway: Gateway, name: str) -> str:
    return gateway.secrets[next(entry.key for entry in gateway.plan.keys if entry.name == name)]


FOREIGN = ("item_reference", "image_generation_call", "mcp_call", ["message"])
"""Types of items that name something stored, or that do not exist."""

STORED: list[dict[str, Any]] = [
    {"type": "file", "file": {"file_id": "file-1"}},
    {"type": "file", "file": {"file_data": "gs://bucket/secret.pdf"}},
    {"type": "video_url", "video_url": {"url": "gs://bucket/secret.mp4"}},
    {"type": "input_file", "file_id": "file-1"},
    {"type": "input_file", "file_url": "gs://bucket/secret.pdf"},
    {"type": "input_image", "image_url": "s3://bucket/secret.png"},
    {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
    {"type": "image", "source": {"type": "file", "file_id": "file-1"}},
    {"type": "tool_result", "content": [{"type": "input_image", "file_id": "file-1"}]},
]
"""Parts that name something stored at a provider or on the gateway."""

OUTPUT = {"type": "function_call_output", "call_id": "call_1"}

MODELS = ["coder", "sonnet", "thinker", "cloud", "gpt"]


@pytest.mark.parametrize("effort", [None, "high"])
@pytest.mark.parametrize("model", MODELS)
def test_a_chat_is_answered_by_every_kind_of_model(
    gateway: Gateway, model: str, effort: str | None
) -> None:
    tools = [{"type": "function", "function": FUNCTION}]
    body = {"model": model, "messages": MESSAGES, "tools": tools, "reasoning_effort": effort}
    answer = gateway.ask(CHAT, body, key(gateway, "ada"))
    assert answer.code == 200, answer.body
    assert answer.body["choices"][0]["message"]["content"] == "pong"


@pytest.mark.parametrize("effort", [None, "high"])
@pytest.mark.parametrize("model", MODELS)
def test_a_response_is_answered_by_every_kind_of_model(
    gateway: Gateway, model: str, effort: str | None
) -> None:
    body: dict[str, Any] = {"model": model, "input": "ping", "instructions": "Be short."}
    if effort:
        body["reasoning"] = {"effort": effort}
    answer = gateway.ask(RESPONSES, body, key(gateway, "ada"))
    assert answer.code == 200, answer.body
    texts = [part["text"] for item in answer.body["output"] for part in item["content"]]
    assert texts == ["pong"]


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_an_answer_of_an_engine_is_streamed(gateway: Gateway, path: str) -> None:
    answer = gateway.ask(path, {**BODIES[path], "stream": True}, key(gateway, "ada"))
    assert answer.code == 200, answer.body
    lines = [line.removeprefix("data: ") for line in answer.body.splitlines() if "data: {" in line]
    assert "heard" in "".join(lines), "the text of the stand-in"
    assert "[DONE]" in answer.body


def test_texts_are_embedded(gateway: Gateway) -> None:
    answer = gateway.ask(EMBEDDINGS, BODIES[EMBEDDINGS], key(gateway, "ada"))
    assert answer.code == 200, answer.body
    assert answer.body["data"][0]["embedding"] == [0.5, 0.25]


def test_an_id_of_claude_is_answered_by_its_tier(gateway: Gateway, upstream: Upstream) -> None:
    for path in (CHAT, RESPONSES):
        body = {**BODIES[path], "model": "claude-haiku-4-5-20251001"}
        assert gateway.ask(path, body, key(gateway, "ada")).code == 200
    assert {asked.body["model"] for asked in upstream.taken()} == {"coder"}


@pytest.mark.parametrize("path", BODIES)
def test_a_group_of_claude_code_only_is_refused(
    gateway: Gateway, upstream: Upstream, path: str
) -> None:
    answer = gateway.ask(path, BODIES[path], key(gateway, "linus"))
    assert (answer.code, answer.body["error"]["code"]) == (403, "403")
    assert f"doesn't open {path}" in answer.body["error"]["message"]
    assert upstream.taken() == []
    assert gateway.ask("/v1/messages", message("coder"), key(gateway, "linus")).code == 200


def test_models_of_a_key_are_limited_alike(gateway: Gateway, upstream: Upstream) -> None:
    eve = key(gateway, "eve")
    for path, model in ((CHAT, "gpt"), (RESPONSES, "gpt"), (EMBEDDINGS, "notes")):
        answer = gateway.ask(path, {**BODIES[path], "model": model}, eve)
        assert answer.code == 403, answer.body
    assert upstream.taken() == []
    for path in (CHAT, RESPONSES):
        assert gateway.ask(path, {**BODIES[path], "model": "sonnet"}, eve).code == 200


def test_the_list_of_models_is_that_of_the_key(gateway: Gateway) -> None:
    def listed(name: str) -> set[str]:
        answer = gateway.ask("/v1/models", key=key(gateway, name))
        return {model["id"] for model in answer.body["data"]}

    assert {"coder", "notes", "gpt", "cloud"} <= listed("ada")
    assert {"coder", "cloud"} <= listed("eve")
    assert not {"notes", "gpt"} & listed("eve")


def test_the_rate_of_a_model_counts_both_apis(gateway: Gateway) -> None:
    ada = key(gateway, "ada")
    bodies = {path: {**BODIES[path], "model": "limited"} for path in (CHAT, RESPONSES)}
    codes = [gateway.ask(path, body, ada).code for path, body in bodies.items()]
    codes.append(gateway.ask("/v1/messages", message("limited"), ada).code)
    codes += [gateway.ask(path, body, ada).code for path, body in bodies.items()]
    assert codes == [200, 200, 429, 429, 429]


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        *((CHAT, field, "x") for field in ("api_base", "custom_llm_provider", "fallbacks")),
        *((RESPONSES, field, "x") for field in ("previous_response_id", "conversation", "prompt")),
        (RESPONSES, "background", True),
        *((path, "user_config", {"model_list": []}) for path in BODIES),
        *((path, "model", "") for path in BODIES),
        *((path, "model", ["coder", "gpt"]) for path in BODIES),
        *((path, "model", "coder,limited") for path in BODIES),
        *((path, "model", "openai/gpt-4o") for path in BODIES),
        *((CHAT, "messages", value) for value in (None, "x", ["x"], list[str]())),
        *((RESPONSES, "input", value) for value in (None, 3, ["x"], dict[str, str]())),
        *((RESPONSES, "tools", value) for value in ("x", [3])),
        *((path, "temperature", "x") for path in (CHAT, RESPONSES)),
        *((CHAT, "max_tokens", value) for value in ("x", [3], True)),
        *((CHAT, "response_format", value) for value in ("x", 1, {"a": 1})),
        *((RESPONSES, "instructions", value) for value in (3, {"a": 1})),
        *((RESPONSES, "input", [{"type": kind, "id": "x"}]) for kind in FOREIGN),
        *((RESPONSES, "input", [{"role": "user", "content": [part]}]) for part in STORED),
        *((RESPONSES, "input", [{**OUTPUT, "output": [part]}]) for part in STORED),
        *((CHAT, "messages", [{"role": "user", "content": [part]}]) for part in STORED),
        (CHAT, "messages", [*MESSAGES, {"role": "assistant", "audio": {"id": "audio_1"}}]),
        (EMBEDDINGS, "input", {}),
    ],
)
def test_what_does_not_pass_is_400_and_reaches_nothing(
    gateway: Gateway, upstream: Upstream, path: str, field: str, value: object
) -> None:
    answer = gateway.ask(path, {**BODIES[path], field: value}, key(gateway, "ada"))
    assert answer.code == 400, answer.body
    assert answer.body["error"]["message"].startswith(f"{field}: ")
    assert upstream.taken() == []


def test_only_tools_of_the_client_reach_a_model(gateway: Gateway, upstream: Upstream) -> None:
    tools = [
        {"type": "function", **FUNCTION},
        {"type": "mcp", "server_label": "all", "server_url": "litellm_proxy/mcp"},
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
        {"type": "web_search"},
        {"type": "shell", "environment": {"type": "container_reference", "container_id": "vs_1"}},
        {"type": ["function"], "name": "vs_1"},
    ]
    body = {**BODIES[RESPONSES], "tools": tools, "store": True, "user": "boss"}
    body["metadata"] = {"tags": ["x"]}
    answer = gateway.ask(RESPONSES, body, key(gateway, "ada"))
    assert answer.code == 200, answer.body
    [asked] = upstream.taken()
    sent = json.dumps(asked.body)
    assert "look" in sent
    assert not [word for word in ("litellm_proxy", "vs_1", "web_search", "boss") if word in sent]


def test_a_model_that_searches_the_web_itself_gets_the_search(
    gateway: Gateway, upstream: Upstream
) -> None:
    body = {**BODIES[RESPONSES], "model": "cloud", "tools": [{"type": "web_search"}]}
    assert gateway.ask(RESPONSES, body, key(gateway, "ada")).code == 200
    [asked] = upstream.taken()
    assert [tool["name"] for tool in asked.body["tools"]] == ["web_search"]


def test_a_search_of_the_gateway_is_for_claude_code_only() -> None:
    """LiteLLM answers a stream of responses with 500 when it searches."""
    names = served_names(planned(GOOD / "web-search.yml"))
    assert "coder" not in names["without_web_search"]
    assert "coder" not in names["searching"]
    assert "cloud" in names["searching"]


@pytest.mark.parametrize("model", ["coder", "gpt", "cloud"])
def test_the_gateway_fetches_nothing_of_its_own_network(
    gateway: Gateway, upstream: Upstream, model: str
) -> None:
    """A part of a chat can name a picture by its address, which LiteLLM fetches for some models."""
    for address in (f"{upstream.url}/picture.png", "http://169.254.169.254/latest/picture.png"):
        part = {"type": "image_url", "image_url": {"url": address}}
        body = {"model": model, "messages": [{"role": "user", "content": [part]}]}
        gateway.ask(CHAT, body, key(gateway, "ada"))
    assert not [asked for asked in upstream.taken() if "picture" in asked.path]


def test_a_response_is_not_stored_at_the_provider(gateway: Gateway, upstream: Upstream) -> None:
    body = {**BODIES[RESPONSES], "model": "gpt", "store": True}
    assert gateway.ask(RESPONSES, body, key(gateway, "ada")).code == 200
    [asked] = upstream.taken()
    assert (asked.path, asked.body["store"]) == ("/v1/responses", False)


def test_no_further_path_of_openai_opens(gateway: Gateway, upstream: Upstream) -> None:
    ada, codes = key(gateway, "ada"), set()
    for path in (
        *("/chat/completions", "/v1/completions", "/responses", "/embeddings", "/v1/rerank"),
        *("/openai/deployments/coder/chat/completions", "/engines/coder/chat/completions"),
        *("/v1/responses/resp_1", "/v1/responses/resp_1/cancel", "/v1/responses/", "/v1/files"),
        *("/v1/batches", "/key/generate", "/v1/chat/completions/", "/v1/images/generations"),
        *("/v1/audio/speech", "/v1/moderations", "/cursor/chat/completions", "/v1//responses"),
    ):
        codes.add(gateway.ask(path, {**BODIES[CHAT], **BODIES[RESPONSES]}, ada).code)
    for path in ("/v1/responses", "/v1/responses/resp_1", "/v1/chat/completions", "/v1/embeddings"):
        codes.add(gateway.ask(path, key=ada).code)
    assert codes <= {403, 404, 405}
    assert upstream.taken() == []
