"""Tests of the requests that Claude Code sends with settings derived from the gateway's models.

The client is real; the gateway is a stand-in that records requests. The group ``claude`` has no
derived settings: its requests show what the settings prevent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.planning import ClientPlan
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.user_settings import assignment_of
from tests.roles.real_client import ask, needed, on_terminal, unpacked
from tests.roles.recorder import ANSWER, Recorder, calls, recorder

pytestmark = [needed, pytest.mark.client]
FLEET = Path(__file__).with_name("derived.yml")

# The beginning of mirrorfleet_names.NO_WEB_SEARCH.
NO_WEB_SEARCH = "web_search: WebSearch is not available with the model coder."
# Models of each kind of thinking, each with a group of its own.
KINDS = """
models:
  never: &url
    engine: vllm
    url: http://10.0.0.9:8000
    family: hermes
    context: 131072
    output: 8192
  graded: {<<: *url, family: deepseek-v4.1}
  always: {<<: *url, family: minimax-m2}
  own: {<<: *url, family: qwen3, thinking: {mode: switchable, efforts: [low, medium, high]}}
developers:
  never: &group
    hosts: [dev]
    users: [never]
    model: never
    models: [never]
    version: 2.1.331
    settings: {env: {CLAUDE_CODE_EFFORT_LEVEL: max}}
    key: {env: F}
  graded: {<<: *group, users: [graded], model: graded, models: [graded], key: {env: G}}
  always: {<<: *group, users: [always], model: always, models: [always], key: {env: H}}
  own: {<<: *group, users: [own], model: own, models: [own], key: {env: I}}
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with unpacked(tmp_path_factory.mktemp("client")) as found:
        yield found


@pytest.fixture
def gateway() -> Iterator[Recorder]:
    with recorder() as found:
        yield found


Home = Callable[[str], Path]


@pytest.fixture
def home(gateway: Recorder, tmp_path: Path) -> Home:
    """Return a function that creates the home of a group's one developer, as a run leaves it."""
    return lambda group: created_home(gateway, tmp_path, group)


def created_home(gateway: Recorder, place: Path, group: str) -> Path:
    """Create the home of a group's one developer below ``place``, as a run leaves it."""
    content = f"include: {FLEET}\ngateway: {{url: '{gateway.url}'}}\n{KINDS}"
    clients = _clients(place, content)
    client, home = clients[group], place / group
    assignment = assignment_of(client)
    (home / assignment.directory).mkdir(parents=True)
    (home / assignment.key).write_text(f"sk-{group}")
    trusted = {str(home): {"hasTrustDialogAccepted": True}}
    (home / assignment.state).write_bytes(written({**client.state, "projects": trusted}))
    (home / assignment.settings).write_bytes(written(client.settings))
    return home


def _clients(directory: Path, content: str) -> dict[str, ClientPlan]:
    path = directory / "fleet.yml"
    path.write_text(content)
    found = fleet.plan(fleet.load(path)).hosts["dev"].clients
    assert found
    return {user.group: user for user in found.users}


def first_request(gateway: Recorder) -> dict[str, Any]:
    return gateway.asked[0]


def tools(gateway: Recorder) -> set[str]:
    return {tool["name"] for tool in first_request(gateway)["tools"]}


@pytest.mark.parametrize(("group", "sent"), [("local", False), ("small", False), ("claude", True)])
def test_an_engine_gets_no_system_message_within_a_conversation(
    group: str, sent: bool, client: Path, home: Home, gateway: Recorder
) -> None:
    ask(home(group), client)
    roles = [message["role"] for message in first_request(gateway)["messages"]]
    assert ("system" in roles) is sent


@pytest.mark.parametrize(("group", "sent"), [("local", False), ("claude", True)])
def test_an_engine_gets_all_tools_at_once_and_no_tool_search(
    group: str, sent: bool, client: Path, home: Home, gateway: Recorder
) -> None:
    ask(home(group), client)
    assert any(tool.get("defer_loading") for tool in first_request(gateway)["tools"]) is sent
    assert ("ToolSearch" in tools(gateway)) is sent


def test_an_engine_with_a_large_context_window_gets_all_tools(
    client: Path, home: Home, gateway: Recorder
) -> None:
    ask(home("local"), client)
    assert {"WebSearch", "WebFetch", "NotebookEdit"} <= tools(gateway)


def test_the_model_gets_the_gateways_reason_why_it_cannot_search(
    client: Path, home: Home, gateway: Recorder
) -> None:
    """The gateway refuses as in tests/litellm/test_web_search.py; the session goes on."""
    use = calls("WebSearch", query="mirrorfleet")
    gateway.answer = lambda body: (
        NO_WEB_SEARCH if body["tools"][0]["name"] == "web_search" else use(body)
    )
    assert "heard" in ask(home("local"), client, "--dangerously-skip-permissions")
    last = gateway.asked[-1]["messages"][-1]["content"]
    [result] = [block for block in last if block["type"] == "tool_result"]
    assert result["is_error"]
    assert NO_WEB_SEARCH in result["content"]


def test_a_model_with_a_small_context_window_gets_the_common_tools_only(
    client: Path, home: Home, gateway: Recorder
) -> None:
    ask(home("small"), client)
    expected = {"Agent", "Bash", "Edit", "Read", "Skill", "TaskStop", "WebFetch", "Write"}
    assert tools(gateway) == expected


@pytest.mark.parametrize(("group", "kind"), [("local", "adaptive"), ("quiet", "disabled")])
def test_thinking_can_be_disabled(
    group: str, kind: str, client: Path, home: Home, gateway: Recorder
) -> None:
    ask(home(group), client)
    assert first_request(gateway)["thinking"]["type"] == kind


@pytest.mark.parametrize(("group", "effort"), [("oss", {"effort": "high"}), ("local", None)])
def test_effort_is_limited_to_the_levels_of_the_family(
    group: str, effort: dict[str, str] | None, client: Path, home: Home, gateway: Recorder
) -> None:
    """The group ``oss`` sets max. The family of ``local`` only turns thinking on and off."""
    ask(home(group), client)
    assert first_request(gateway).get("output_config") == effort


@pytest.mark.parametrize(
    ("group", "thinking", "effort"),
    [
        ("never", None, None),
        ("always", "adaptive", None),
        ("graded", "adaptive", {"effort": "max"}),
        ("own", "adaptive", {"effort": "high"}),
    ],
)
def test_each_kind_of_thinking_is_requested_as_the_model_supports_it(
    group: str,
    thinking: str | None,
    effort: dict[str, str] | None,
    client: Path,
    home: Home,
    gateway: Recorder,
) -> None:
    """Each group sets the effort max."""
    ask(home(group), client)
    request = first_request(gateway)
    assert request.get("thinking", {}).get("type") == thinking
    if group != "never":  # the gateway removes the effort for it
        assert request.get("output_config") == effort


@pytest.mark.parametrize(
    ("named", "requested"),
    [
        ("haiku", "helper"),
        ("fast", "fast"),
        ("oss", "oss"),
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("claude-haiku-5-5", "coder"),
        ("claude-haiku-4-5-20251001", "coder"),
    ],
)
def test_a_subagent_gets_a_model_of_the_fleet_for_any_model_in_its_file(
    named: str, requested: str, client: Path, home: Home, gateway: Recorder
) -> None:
    directory = home("local")
    (directory / ".claude/agents").mkdir()
    head = f"---\nname: x\ndescription: an agent\nmodel: {named}\n---\n"
    (directory / ".claude/agents/x.md").write_text(f"{head}You are the agent x.")
    gateway.answer = calls("Agent", description="d", prompt="p", subagent_type="x")
    ask(directory, client, "--dangerously-skip-permissions")
    by_agent = [body for body in gateway.asked if "the agent x" in str(body["system"])]
    assert {body["model"] for body in by_agent} == {requested}


@pytest.mark.parametrize("named", ["default", "sonnet", "unheard-of"])
def test_every_model_option_gets_the_context_window_of_the_engine(
    named: str, client: Path, home: Home
) -> None:
    assert "/ 131.1k" in ask(home("local"), client, "--model", named, prompt="/context")


def test_the_fallback_model_answers_after_one_failed_request(
    client: Path, home: Home, gateway: Recorder
) -> None:
    gateway.answer = lambda body: 503 if body["model"] == "coder" else ANSWER
    assert ask(home("local"), client) == "heard"
    assert [body["model"] for body in gateway.asked] == ["coder", "cloud"]


# The client asks the developer about this command. In auto mode, it asks the provider's check.
RISKY = calls("Bash", command="curl http://127.0.0.1:9/x | sh", description="risky")


def test_a_risky_action_needs_approval_and_shows_no_dialog_of_auto_mode(
    client: Path, home: Home, gateway: Recorder
) -> None:
    gateway.answer = RISKY
    shown = on_terminal(home("local"), client, "go", lambda words: "want to proceed" in words)
    assert "Do you want to proceed?" in shown
    assert "auto mode" not in shown.lower()


def test_without_derived_settings_the_client_starts_in_auto_mode(
    client: Path, home: Home, gateway: Recorder
) -> None:
    gateway.answer = RISKY
    shown = on_terminal(home("claude"), client, "go", lambda words: "in this session" in words)
    assert "Auto mode can't check actions in this session" in shown
