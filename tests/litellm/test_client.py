"""The real Claude Code behind the real LiteLLM: WebSearch, and ids of other releases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.user_settings import assignment_of
from tests.litellm.conftest import GOOD
from tests.litellm.gateway import Gateway, planned, serving
from tests.litellm.upstream import Asked, Upstream
from tests.roles.real_client import ask, needed, unpacked
from tests.roles.recorder import calls
from tests.standins.searxng import ADDRESS, SearXNG, searxng

pytestmark = [needed, pytest.mark.client]

ENGINE, ANTHROPIC = "10.0.0.1:8001", "api.anthropic.com"
FOREIGN = "claude-haiku-4-5-20251001"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with unpacked(tmp_path_factory.mktemp("client")) as found:
        yield found


@pytest.fixture(scope="module")
def service() -> Iterator[SearXNG]:
    with searxng() as found:
        yield found


@pytest.fixture(scope="module")
def gateway(
    service: SearXNG, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    upstream.search, place = service.url, tmp_path_factory.mktemp("gateway")
    path = place / "fleet.yml"
    path.write_text(f"include: {GOOD}/web-search.yml\naliases: {{haiku: cloud}}\n")
    with serving(planned(path), upstream, place) as found:
        yield found


@pytest.fixture
def behaving(upstream: Upstream) -> Iterator[Upstream]:
    """Yield the stand-in, which calls tools as a test says; afterwards it calls none."""
    upstream.taken()
    with upstream.changed(events=upstream.events):
        yield upstream


def home(gateway: Gateway, place: Path, **changed: Any) -> Path:
    """Create a developer's home as a run leaves it, with ``changed`` settings."""
    path = place / "reached.yml"
    path.write_text(f"include: {gateway.directory}/fleet.yml\ngateway: {{url: '{gateway.url}'}}\n")
    clients = fleet.plan(fleet.load(path)).hosts["dev"].clients
    assert clients
    [ada] = [user for user in clients.users if user.group == "team"]
    found, where = place / "home", assignment_of(ada)
    (found / where.directory).mkdir(parents=True)
    (found / where.key).write_text(gateway.key)
    (found / where.state).write_bytes(written(ada.state))
    (found / where.settings).write_bytes(written({**ada.settings, **changed}))
    return found


def results(request: Asked) -> list[Any]:
    """Return the results of tools in the last message of a request."""
    content = request.body["messages"][-1]["content"]
    return [block["content"] for block in content if block.get("type") == "tool_result"]


def test_a_model_on_an_engine_searches_the_web(
    client: Path, gateway: Gateway, behaving: Upstream, service: SearXNG, tmp_path: Path
) -> None:
    behaving.events = calls("WebSearch", query="mirrorfleet release")
    directory = home(gateway, tmp_path)
    assert "heard" in ask(directory, client, "--dangerously-skip-permissions")
    requests = behaving.taken()
    assert {request.host for request in requests} == {ENGINE}
    assert service.queries == ["mirrorfleet release"]
    [found] = results(requests[-1])
    assert ADDRESS in json.dumps(found), "the model gets the sources"
    assert "pong" in json.dumps(found), "and the summary"


def test_an_agent_with_an_id_of_another_release_gets_an_answer(
    client: Path, gateway: Gateway, behaving: Upstream, tmp_path: Path
) -> None:
    """Developers' own settings can allow the id; derived ones replace it in the client already."""
    directory = home(gateway, tmp_path, availableModels=["coder", FOREIGN])
    (directory / ".claude/agents").mkdir()
    head = f"---\nname: x\ndescription: an agent\nmodel: {FOREIGN}\n---\n"
    (directory / ".claude/agents/x.md").write_text(f"{head}You are the agent x.")
    behaving.events = calls("Agent", description="d", prompt="p", subagent_type="x")
    assert "heard" in ask(directory, client, "--dangerously-skip-permissions")
    by_agent = [each for each in behaving.taken() if "the agent x" in json.dumps(each.body)]
    assert {(each.host, each.body["model"]) for each in by_agent} == {
        (ANTHROPIC, "claude-opus-5-5")
    }
