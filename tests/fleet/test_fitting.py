"""Settings that adapt Claude Code to the capabilities of the models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.planning import FleetPlan
from mirrorfleet.planning.explain import values

DERIVED = Path(__file__).parents[1] / "roles/derived.yml"
LOCAL = "-mid_conv_system,-mid_conv_tool_change"


def planned(directory: Path, keys: str = "") -> FleetPlan:
    path = directory / "fleet.yml"
    path.write_text(f"include: {DERIVED}\n{keys}\n")
    return fleet.plan(fleet.load(path))


def settings(plan: FleetPlan, user: str) -> Any:
    clients = plan.hosts["dev"].clients
    assert clients
    [client] = [client for client in clients.users if client.user == user]
    return client.settings


def test_every_name_of_a_model_on_an_engine_has_its_capabilities(tmp_path: Path) -> None:
    derived = settings(planned(tmp_path), "local")["env"]["CLAUDE_CODE_MODEL_CAPABILITIES"]
    assert derived.split(";") == [
        f"coder={LOCAL},-rejects_disabled_thinking,-effort",
        f"claude-sonnet-5-5={LOCAL},-rejects_disabled_thinking,-effort",
        f"helper={LOCAL}",
        f"claude-haiku-5-5={LOCAL}",
        f"fast={LOCAL}",
        f"oss={LOCAL},-rejects_disabled_thinking,-max_effort,-xhigh_effort",
    ]


def test_groups_with_claude_only_have_no_such_settings(tmp_path: Path) -> None:
    derived = settings(planned(tmp_path), "claude")
    assert not {"disableAutoMode", "permissions", "fallbackModel"} & derived.keys()
    assert not {"CLAUDE_CODE_MODEL_CAPABILITIES", "ENABLE_TOOL_SEARCH"} & derived["env"].keys()
    assert derived["availableModels"] == ["cloud", "claude-opus-5-5"]


def test_a_session_on_claude_has_web_search_and_no_tool_search(
    tmp_path: Path,
) -> None:
    mixed = "developers: {claude: {models: [cloud, helper]}}"
    derived = settings(planned(tmp_path, mixed), "claude")
    assert "permissions" not in derived, "the session's model gets WebSearch"
    assert derived["env"]["ENABLE_TOOL_SEARCH"] == "false", "it can switch to 'helper'"
    assert derived["disableAutoMode"] == "disable"


@pytest.mark.parametrize(
    ("gateway", "denied"), [("", True), ("{web_search: {service: duckduckgo}}", False)]
)
def test_a_small_window_has_web_search_only_if_the_gateway_searches(
    gateway: str, denied: bool, tmp_path: Path
) -> None:
    derived = settings(planned(tmp_path, f"gateway: {gateway or '{}'}"), "small")
    assert ("WebSearch" in derived["permissions"]["deny"]) is denied
    assert "CronList" in derived["permissions"]["deny"]


def test_a_large_window_has_web_search_also_without_a_search_service(tmp_path: Path) -> None:
    """The gateway answers with the reason; the client shows nothing for a denied tool."""
    assert "permissions" not in settings(planned(tmp_path), "local")


def test_settings_of_the_group_win(tmp_path: Path) -> None:
    own = """
developers:
  local:
    permissions: {allow: [WebSearch], deny: [Read(.env)], default_mode: auto}
    settings:
      availableModels: [coder]
      env: {ENABLE_TOOL_SEARCH: auto, CLAUDE_CODE_MODEL_CAPABILITIES: coder=-effort}
  small:
    permissions: {ask: ["NotebookEdit(*)", CronCreate], deny: [CronList]}
"""
    plan = planned(tmp_path, own)
    derived, small = settings(plan, "local"), settings(plan, "small")
    assert derived["permissions"]["deny"] == ["Read(.env)"]
    assert derived["availableModels"] == ["coder"]
    assert "fallbackModel" not in derived, "'cloud' is not among them"
    assert "disableAutoMode" not in derived
    assert derived["env"]["ENABLE_TOOL_SEARCH"] == "auto"
    assert derived["env"]["CLAUDE_CODE_MODEL_CAPABILITIES"] == "coder=-effort"
    denied = small["permissions"]["deny"]
    assert denied[:3] == ["CronList", "WebSearch", "CronDelete"]
    assert "NotebookEdit" not in denied


def test_a_person_with_fewer_models_gets_only_these(tmp_path: Path) -> None:
    keys = """
developers: {local: {key: null}}
keys: {root: {env: ROOT}, people: {local: {models: [coder, helper, cloud]}}}
"""
    derived = settings(planned(tmp_path, keys), "local")
    assert "oss" not in derived["availableModels"]
    assert derived["fallbackModel"] == ["cloud"]
    assert "oss=" not in derived["env"]["CLAUDE_CODE_MODEL_CAPABILITIES"]


def test_thinking_is_disabled_in_the_way_that_the_models_need(tmp_path: Path) -> None:
    off = "CLAUDE_CODE_DISABLE_THINKING"
    plan = planned(tmp_path, "developers: {claude: {thinking: false}}")
    quiet, claude, small = (settings(plan, user) for user in ("quiet", "claude", "small"))
    assert quiet["alwaysThinkingEnabled"] is claude["alwaysThinkingEnabled"] is False
    assert off not in quiet["env"], "the client would send nothing, and the model would think"
    assert claude["env"][off] == "1"
    assert small["env"][off] == "1", "its only model has no reasoning parser"
    assert off not in settings(plan, "local")["env"]


def test_every_derived_setting_has_a_reason(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    derived = {
        value.path[-1]: value
        for value in values(plan, plan.hosts["dev"])
        if value.path[:3] == ("clients", "users", "local")
        or (value.path[:3], value.path[-1]) == (("clients", "users", "small"), "deny")
    }
    for name in (
        *("CLAUDE_CODE_MODEL_CAPABILITIES", "ENABLE_TOOL_SEARCH", "ANTHROPIC_DEFAULT_MODEL"),
        *("disableAutoMode", "availableModels", "fallbackModel", "deny"),
    ):
        assert derived[name].reason, name
        assert any(source.place for source in derived[name].sources), name
    assert "'coder', 'helper', 'oss'" in derived["ENABLE_TOOL_SEARCH"].reason
