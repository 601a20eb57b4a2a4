"""What the gateway mends for models that cannot take what clients send, by the real LiteLLM.

Two engines: the stand-in upstream for vLLM, and Ollama, the stand-in or a real one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.litellm import ollama
from tests.litellm.gateway import Answer, Gateway, message, planned, serving
from tests.litellm.ollama import REAL, Engine
from tests.litellm.upstream import Upstream
from tests.standins.ollama import program

FLEET = """\
version: 1
name: mends
hosts: {box: {address: 10.0.0.2}, gw: {address: 10.0.0.1}, dev: {address: 10.0.0.3}}
models:
  coder: &vllm
    {engine: vllm, url: "http://10.0.9.1:8000", family: hermes, context: 131072, output: 8192}
  draft: {<<: *vllm, url: "http://10.0.9.2:8000"}
  seer: {<<: *vllm, url: "http://10.0.9.3:8000", vision: true}
  local:
    {engine: ollama, url: "http://10.0.0.2:11434", served_name: coder, context: 16384, output: 2048}
  cloud: {provider: anthropic, id: claude-sonnet-5-5, api_key: {env: CLOUD_KEY}}
aliases: {sonnet: draft}
fallbacks: {draft: [coder, seer]}
gateway: {hosts: [gw], version: "1.106.12", master_key: {env: MASTER_KEY}, metrics: {}}
developers:
  team: {hosts: [dev], users: [ada], model: coder, version: 2.1.331, key: {env: TEAM_KEY}}
"""

CODER, DRAFT, SEER = "10.0.9.1:8000", "10.0.9.2:8000", "10.0.9.3:8000"

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
}
BY_URL = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
PDF = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
}
TOOL = {
    "name": "Write",
    "description": "Write a file.",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
}

needs_standin = pytest.mark.skipif(bool(REAL), reason="needs a fault of the stand-in")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with ollama.engine(tmp_path_factory.mktemp("engine")) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(
    engine: Engine, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    directory = tmp_path_factory.mktemp("gateway")
    path = directory / "fleet.yml"
    path.write_text(FLEET)
    with serving(planned(path), ollama.At(upstream, engine.url), directory) as found:
        yield found


@pytest.fixture(autouse=True)
def recorded_from_here(upstream: Upstream) -> None:
    upstream.taken()


def turn(model: str, *blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a request whose last message has these blocks."""
    return {**message(model, **more), "messages": [user(*blocks)]}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def result(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": list(blocks)}


def refused(answer: Answer) -> str:
    assert (answer.code, answer.body["error"]["type"]) == (400, "invalid_request_error"), answer
    found: str = answer.body["error"]["message"]
    return found


def mended(gateway: Gateway, kind: str) -> float:
    """Return the number of mends of a kind."""
    body = gateway.ask("/metrics/", key=gateway.master).body
    found = re.findall(rf'^mirrorfleet_requests_mended_total{{kind="{kind}".*}} (\S+)$', body, re.M)
    return sum(map(float, found))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("model", ["coder", "local"])
def test_a_new_image_at_a_text_only_model_is_refused_at_its_place(
    gateway: Gateway, upstream: Upstream, model: str, nested: bool, stream: bool
) -> None:
    blocks = [text("Look."), result(text("read"), IMAGE)] if nested else [text("Look."), IMAGE]
    before = mended(gateway, "image")
    found = refused(gateway.ask("/v1/messages", turn(model, *blocks, stream=stream)))
    assert f"messages.0.content.1.image: The model {model} reads text only." in found
    assert not upstream.taken()
    assert mended(gateway, "image") == before + 1


@pytest.mark.parametrize("nested", [False, True])
def test_a_document_is_refused_with_what_to_do_instead(gateway: Gateway, nested: bool) -> None:
    blocks = [result(PDF)] if nested else [PDF]
    found = refused(gateway.ask("/v1/messages", turn("coder", *blocks)))
    assert "messages.0.content.0.document: The model coder reads text only. Extract" in found
    found = refused(gateway.ask("/v1/messages", turn("seer", *blocks)))
    assert "messages.0.content.0.document: The model seer does not support PDF input." in found


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_with_vision_reads_the_image_and_the_next_turn_comes_back(
    gateway: Gateway, upstream: Upstream, stream: bool
) -> None:
    request = turn("sonnet", text("Look."), IMAGE, stream=stream)
    answer = gateway.ask("/v1/messages", request)
    assert answer.code == 200
    assert answer.headers["x-litellm-attempted-fallbacks"] == "1"
    [asked] = upstream.taken()
    assert asked.host == SEER
    assert IMAGE in asked.body["messages"][0]["content"]
    later = [
        *request["messages"],
        {"role": "assistant", "content": "A cat."},
        user(text("Thanks.")),
    ]
    assert gateway.ask("/v1/messages", {**request, "messages": later}).code == 200
    [asked] = upstream.taken()
    assert asked.host == DRAFT
    assert "image left out: The model draft reads text only" in json.dumps(asked.body)
    assert PIXEL not in json.dumps(asked.body)


def test_without_a_fallback_that_can_read_it_a_document_is_refused(gateway: Gateway) -> None:
    found = refused(gateway.ask("/v1/messages", turn("sonnet", PDF)))
    assert "messages.0.content.0.document: The model draft reads text only." in found


def test_a_model_with_vision_gets_images(gateway: Gateway, upstream: Upstream) -> None:
    request = turn("seer", IMAGE, result(IMAGE), BY_URL)
    assert gateway.ask("/v1/messages", request).code == 200
    assert upstream.taken()[0].body["messages"] == request["messages"]


def test_references_to_tools_become_their_names(
    gateway: Gateway, upstream: Upstream, engine: Engine
) -> None:
    reference = {"type": "tool_reference", "tool_name": "WebFetch"}
    for model in ("coder", "local"):
        request = turn(model, result(reference))
        answer = gateway.ask("/v1/messages", request)
        assert answer.code == 200
        if model == "coder":
            assert "The tool WebFetch is available." in json.dumps(upstream.taken()[0].body)
        else:
            empty = engine.truth(turn("coder", result()))
            assert answer.body["usage"]["input_tokens"] > empty, "Ollama reads the name"


def test_claude_gets_everything(gateway: Gateway, upstream: Upstream) -> None:
    request = turn("cloud", IMAGE, PDF, result({"type": "tool_reference", "tool_name": "Bash"}))
    assert gateway.ask("/v1/messages", request).code == 200
    assert upstream.taken()[0].body["messages"] == request["messages"]


def test_schemas_that_ollama_cannot_decode_are_rewritten(gateway: Gateway, engine: Engine) -> None:
    schema = {
        "type": "object",
        "properties": {"any": True, "where": {"$ref": "#/$defs/Place"}},
        "$defs": {"Place": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
    request = turn("local", text("Hello."), tools=[{**TOOL, "input_schema": schema}])
    assert gateway.ask("/v1/messages", request).code == 200
    with pytest.raises(OSError, match="400"):
        engine.ask("/v1/messages", {**request, "model": "coder"})


def test_an_image_by_url_at_ollama_is_refused(gateway: Gateway) -> None:
    """The stand-in's model has no vision; the same rule without it is a unit test."""
    found = refused(gateway.ask("/v1/messages", turn("local", BY_URL)))
    assert "messages.0.content.0.image: The model local reads text only." in found


@needs_standin
@pytest.mark.parametrize("stream", [False, True])
def test_a_rejected_tool_call_is_asked_for_once_more(
    gateway: Gateway, engine: Engine, stream: bool
) -> None:
    words = f'{program.MALFORM} {program.REPENT}, then use Write {{"path": "a"}}'
    request = turn("local", text(words), tools=[TOOL], stream=stream)
    before = engine.log.read_text().count("malformed call")
    answer = gateway.ask("/v1/messages", request)
    assert answer.code == 200
    assert "tool_use" in str(answer.body)
    assert engine.log.read_text().count("malformed call") == before + 1


@needs_standin
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_call_that_is_rejected_twice_is_explained(
    gateway: Gateway, engine: Engine, stream: bool
) -> None:
    before = engine.log.read_text().count("malformed call")
    request = turn("local", text(program.MALFORM), tools=[TOOL], stream=stream)
    answer = gateway.ask("/v1/messages", request)
    assert answer.code == 200
    assert "element <parameter> closed by </function>" in str(answer.body)
    assert ("message_stop" if stream else "end_turn") in str(answer.body)
    assert engine.log.read_text().count("malformed call") == before + 2
    assert mended(gateway, "tool_call_explained") >= 1


@needs_standin
@pytest.mark.parametrize("words", [program.BREAK, program.DIE])
def test_a_stream_that_ends_early_is_an_error(gateway: Gateway, words: str) -> None:
    before = mended(gateway, "cut_stream")
    answer = gateway.ask("/v1/messages", turn("local", text(words), stream=True))
    assert "event: error" in answer.body
    assert "message_stop" not in answer.body
    assert mended(gateway, "cut_stream") == before + 1


@needs_standin
def test_an_empty_answer_has_a_list_as_its_content(gateway: Gateway) -> None:
    """Ollama drops blocks that it does not know, and then only loads the model."""
    unknown = {"type": "container_upload", "file_id": "file_1"}
    answer = gateway.ask("/v1/messages", turn("local", unknown))
    assert answer.code == 200
    assert (answer.body["content"], answer.body["stop_reason"]) == ([], "end_turn")


def test_each_kind_of_mend_is_logged_once(gateway: Gateway) -> None:
    for _ in range(2):
        gateway.ask("/v1/messages", turn("coder", IMAGE))
    time.sleep(0.5)
    log = (gateway.directory / "log").read_text()
    assert log.count("mirrorfleet: mended for coder: image ") == 1
