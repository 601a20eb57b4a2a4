"""What Claude Code sends with the settings that are derived from the models behind the gateway.

The client is the real one, the gateway a recording stand-in. The group ``claude`` has none of these
settings: what the client sends there is what they stop.
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
    """Give the home of the one person in a group, as a run leaves it."""
    clients = _clients(tmp_path, f"include: {FLEET}\ngateway: {{url: '{gateway.url}'}}\n")

    def furnish(group: str) -> Path:
        its, home = clients[group], tmp_path / group
        where = assignment_of(its)
        (home / where.directory).mkdir(parents=True)
        (home / where.key).write_text(f"sk-{group}")
        trusted = {str(home): {"hasTrustDialogAccepted": True}}
        (home / where.state).write_bytes(written({**its.state, "projects": trusted}))
        (home / where.settings).write_bytes(written(its.settings))
        return home

    return furnish


def _clients(directory: Path, content: str) -> dict[str, ClientPlan]:
    path = directory / "fleet.yml"
    path.write_text(content)
    found = fleet.plan(fleet.load(path)).hosts["dev"].clients
    assert found
    return {each.group: each for each in found.users}


def first(gateway: Recorder) -> dict[str, Any]:
    return gateway.asked[0]


def tools(gateway: Recorder) -> set[str]:
    return {each["name"] for each in first(gateway)["tools"]}


@pytest.mark.parametrize(("group", "sent"), [("local", False), ("small", False), ("claude", True)])
def test_no_system_message_in_mid_conversation_reaches_an_engine(
    group: str, sent: bool, client: Path, home: Home, gateway: Recorder
) -> None:
    ask(home(group), client)
    roles = [each["role"] for each in first(gateway)["messages"]]
    assert ("system" in roles) is sent


@pytest.mark.parametrize(("group", "sent"), [("local", False), ("claude", True)])
def test_no_tool_is_deferred_and_searched_for_where_an_engine_answers(
    group: str, sent: bool, client: Path, home: Home, gateway: Recorder
) -> None:
    ask(home(group), client)
    assert any(each.get("defer_loading") for each in first(gateway)["tools"]) is sent
    assert ("ToolSearch" in tools(gateway)) is sent


def test_web_search_is_not_offered_to_an_engine(
    client: Path, home: Home, gateway: Recorder
) -> None:
    ask(home("local"), client)
    assert "WebSearch" not in tools(gateway)
    assert {"WebFetch", "NotebookEdit"} <= tools(gateway), "the window is large"


def test_a_small_window_is_left_to_the_tools_that_sessions_use(
    client: Path, home: Home, gateway: Recorder
) -> None:
    ask(home("small"), client)
    expected = {"Agent", "Bash", "Edit", "Read", "Skill", "TaskStop", "WebFetch", "Write"}
    assert tools(gateway) == expected


@pytest.mark.parametrize(("group", "kind"), [("local", "adaptive"), ("quiet", "disabled")])
def test_thinking_can_be_turned_off(
    group: str, kind: str, client: Path, home: Home, gateway: Recorder
) -> None:
    ask(home(group), client)
    assert first(gateway)["thinking"]["type"] == kind


@pytest.mark.parametrize(("group", "effort"), [("oss", {"effort": "high"}), ("local", None)])
def test_effort_stops_at_what_the_family_takes(
    group: str, effort: dict[str, str] | None, client: Path, home: Home, gateway: Recorder
) -> None:
    """The group ``oss`` says max; the family of ``local`` knows thinking on and off only."""
    ask(home(group), client)
    assert first(gateway).get("output_config") == effort


@pytest.mark.parametrize(
    ("named", "asked"),
    [
        ("haiku", "helper"),
        ("fast", "fast"),
        ("oss", "oss"),
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("claude-haiku-5-5", "coder"),
        ("claude-haiku-4-5-20251001", "coder"),
    ],
)
def test_an_agent_gets_a_model_of_the_fleet_whatever_its_file_names(
    named: str, asked: str, client: Path, home: Home, gateway: Recorder
) -> None:
    its = home("local")
    (its / ".claude/agents").mkdir()
    head = f"---\nname: x\ndescription: an agent\nmodel: {named}\n---\n"
    (its / ".claude/agents/x.md").write_text(f"{head}You are the agent x.")
    gateway.answer = calls("Agent", description="d", prompt="p", subagent_type="x")
    ask(its, client, "--dangerously-skip-permissions")
    by_agent = [each for each in gateway.asked if "the agent x" in str(each["system"])]
    assert {each["model"] for each in by_agent} == {asked}


@pytest.mark.parametrize("named", ["default", "sonnet", "unheard-of"])
def test_the_window_is_that_of_the_engine_whatever_model_a_session_is_started_with(
    named: str, client: Path, home: Home
) -> None:
    assert "/ 131.1k" in ask(home("local"), client, "--model", named, prompt="/context")


def test_the_fallback_of_the_fleet_answers_at_once_when_the_gateway_cannot(
    client: Path, home: Home, gateway: Recorder
) -> None:
    gateway.answer = lambda body: 503 if body["model"] == "coder" else ANSWER
    assert ask(home("local"), client) == "heard"
    assert [each["model"] for each in gateway.asked] == ["coder", "cloud"]


# It opens the file, so the client asks; in auto mode it would ask the vendor's check.
RISKY = calls("Bash", command="curl http://127.0.0.1:9/x | sh", description="risky")


def test_a_risky_action_is_asked_about_and_no_dialog_of_auto_mode_stops_the_turn(
    client: Path, home: Home, gateway: Recorder
) -> None:
    gateway.answer = RISKY
    shown = on_terminal(home("local"), client, "go", lambda words: "want to proceed" in words)
    assert "Do you want to proceed?" in shown
    assert "auto mode" not in shown.lower()


def test_auto_mode_is_what_the_client_would_start_in(
    client: Path, home: Home, gateway: Recorder
) -> None:
    gateway.answer = RISKY
    shown = on_terminal(home("claude"), client, "go", lambda words: "in this session" in words)
    assert "Auto mode can't check actions in this session" in shown
