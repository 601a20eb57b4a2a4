"""WebSearch through the real LiteLLM: the gateway searches for models that cannot."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.data import table
from tests.litellm.conftest import GOOD
from tests.litellm.environment import environment
from tests.litellm.gateway import Answer, Gateway, message, planned, serving
from tests.litellm.upstream import SEARCH_TOOL, Upstream
from tests.standins.searxng import ADDRESS, SNIPPET, SearXNG, searxng

ENGINE, EXTERNAL = "10.0.0.1:8001", "10.0.9.7:8000"
ANTHROPIC = "api.anthropic.com"
BEDROCK = "vpce-0a1b-bedrock-runtime.us-east-1.vpce.amazonaws.com"

# As the client 2.1.330 sends it, in a request of its own: tests/roles/known_content/.
WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
PROMPT = "Perform a web search for the query: mirrorfleet release"


@pytest.fixture(scope="module", name="service")
def searching() -> Iterator[SearXNG]:
    with searxng() as found:
        yield found


@pytest.fixture(scope="module", name="gateway")
def running(
    service: SearXNG, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    plan, directory = planned(GOOD / "web-search.yml"), tmp_path_factory.mktemp("search")
    with upstream.changed(search=service.url), serving(plan, upstream, directory) as gateway:
        yield gateway


@contextmanager
def failing(service: SearXNG, status: int) -> Iterator[None]:
    service.status = status
    try:
        yield
    finally:
        service.status = 200


def search(gateway: Gateway, model: str, stream: bool = False) -> Answer:
    choice = {"type": "tool", "name": "web_search"}
    body = message(model, PROMPT, tools=[WEB_SEARCH], tool_choice=choice, stream=stream)
    return gateway.ask("/v1/messages", body)


def blocks(answer: Answer) -> list[dict[str, Any]]:
    """Return the content blocks of an answer, as far as a stream has them at their start."""
    if isinstance(answer.body, dict):
        return list(answer.body["content"])
    events = [line[5:] for line in answer.body.splitlines() if line.startswith("data:")]
    starts = map(json.loads, events)
    return [event["content_block"] for event in starts if event["type"] == "content_block_start"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "host", "asked"), [("coder", ENGINE, 2), ("rock", BEDROCK, 2), ("other", EXTERNAL, 0)]
)
def test_the_gateway_searches_for_a_model_that_cannot(
    model: str,
    host: str,
    asked: int,
    stream: bool,
    gateway: Gateway,
    upstream: Upstream,
    service: SearXNG,
) -> None:
    """A model of a server with OpenAI's API is not asked: LiteLLM returns the results."""
    upstream.taken()
    service.queries.clear()
    answer = search(gateway, model, stream)
    assert answer.code == 200
    requests = upstream.taken()
    assert [request.host for request in requests] == [host] * asked
    for request in requests:
        names = [tool.get("name") for tool in request.body["tools"]]
        assert names == [SEARCH_TOOL]
    if requests:
        assert SNIPPET in json.dumps(requests[-1].body), "the model gets the results"
    [query] = service.queries
    assert "mirrorfleet release" in query
    kinds = [block["type"] for block in blocks(answer)]
    assert kinds == [*(["server_tool_use", "web_search_tool_result"] if asked else []), "text"]
    assert ADDRESS in json.dumps(answer.body), "the client shows the sources"


def test_the_key_goes_to_the_search_service_only(
    gateway: Gateway, upstream: Upstream, service: SearXNG
) -> None:
    service.keys.clear()
    search(gateway, "coder")
    [key] = {value for secret, value in gateway.secrets.items() if secret.value == "SEARXNG_KEY"}
    assert service.keys == [f"Bearer {key}"]
    assert key not in (gateway.directory / "config.yaml").read_text()
    assert key not in str(upstream.taken())


@pytest.mark.parametrize("stream", [False, True])
def test_claude_at_anthropic_searches_by_itself(
    stream: bool, gateway: Gateway, upstream: Upstream, service: SearXNG
) -> None:
    upstream.taken()
    service.queries.clear()
    assert search(gateway, "cloud", stream).code == 200
    [request] = upstream.taken()
    assert (request.host, request.body["tools"]) == (ANTHROPIC, [WEB_SEARCH])
    assert request.body.get("stream", False) is stream
    assert service.queries == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_to_claude_lets_it_search_by_itself(
    stream: bool, gateway: Gateway, upstream: Upstream, service: SearXNG
) -> None:
    upstream.taken()
    service.queries.clear()
    with upstream.changed(down=ENGINE):
        assert search(gateway, "coder", stream).code == 200
    *_, last = upstream.taken()
    assert (last.host, last.body["tools"]) == (ANTHROPIC, [WEB_SEARCH])
    assert service.queries == []


@pytest.mark.parametrize("status", [403, 503])
@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_search_is_an_answer_that_says_so(
    stream: bool, status: int, gateway: Gateway, service: SearXNG
) -> None:
    """SearXNG answers 403 if its settings do not list the format json."""
    with failing(service, status):
        answer, translated = search(gateway, "coder", stream), search(gateway, "other", stream)
    assert (answer.code, translated.code) == (200, 200)
    [result] = [each for each in blocks(answer) if each["type"] == "web_search_tool_result"]
    assert result["content"]["type"] == "web_search_tool_result_error"
    assert "Search failed" in json.dumps(translated.body)


def test_a_turn_without_web_search_is_not_changed(gateway: Gateway, upstream: Upstream) -> None:
    tool = {"name": "WebSearch", "description": "d", "input_schema": {"type": "object"}}
    upstream.taken()
    assert gateway.ask("/v1/messages", message("coder", tools=[tool])).code == 200
    [request] = upstream.taken()
    assert request.body["tools"] == [tool]


@pytest.mark.parametrize("stream", [False, True])
def test_without_a_search_service_the_model_gets_the_reason(
    stream: bool, upstream: Upstream, tmp_path: Path
) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(f"include: {GOOD}/one-machine.yml\naliases: {{opus: coder}}\n")
    with serving(planned(path), upstream, tmp_path) as gateway:
        upstream.taken()
        for name in ("coder", "opus", "claude-opus-5-5", "claude-opus-4-1"):
            answer = search(gateway, name, stream)
            assert answer.code == 400
            assert "gateway.web_search" in answer.body["error"]["message"]
            count = {**message(name), "tools": [WEB_SEARCH]}
            assert gateway.ask("/v1/messages/count_tokens", count).code == 200
        assert "/v1/messages" not in [request.path for request in upstream.taken()]


def test_the_table_of_services_is_that_of_the_release() -> None:
    program = "from litellm.types.utils import SearchProviders as s; print(*[x.value for x in s])"
    command = [str(environment() / "bin/python"), "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    assert sorted(done.stdout.split()) == sorted(table("web_search"))
