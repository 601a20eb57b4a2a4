"""Settings that keep Claude Code to what the models can do: who gets them, why, who overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.planning import FleetPlan
from mirrorfleet.planning.explain import values

DERIVED = Path(__file__).parents[1] / "roles/derived.yml"
LOCAL = "-mid_conv_system,-mid_conv_tool_change"


def planned(directory: Path, said: str = "") -> FleetPlan:
    path = directory / "fleet.yml"
    path.write_text(f"include: {DERIVED}\n{said}\n")
    return fleet.plan(fleet.load(path))


def settings(plan: FleetPlan, user: str) -> Any:
    clients = plan.hosts["dev"].clients
    assert clients
    [its] = [each for each in clients.users if each.user == user]
    return its.settings


def test_each_name_that_leads_to_an_engine_has_the_abilities_of_its_model(tmp_path: Path) -> None:
    said = settings(planned(tmp_path), "local")["env"]["CLAUDE_CODE_MODEL_CAPABILITIES"]
    assert said.split(";") == [
        f"coder={LOCAL},-rejects_disabled_thinking,-effort",
        f"claude-sonnet-5-5={LOCAL},-rejects_disabled_thinking,-effort",
        f"helper={LOCAL}",
        f"claude-haiku-5-5={LOCAL}",
        f"fast={LOCAL}",
        f"oss={LOCAL},-rejects_disabled_thinking,-max_effort,-xhigh_effort",
    ]


def test_models_that_are_all_claude_are_left_to_the_client(tmp_path: Path) -> None:
    said = settings(planned(tmp_path), "claude")
    assert not {"disableAutoMode", "permissions", "fallbackModel"} & said.keys()
    assert not {"CLAUDE_CODE_MODEL_CAPABILITIES", "ENABLE_TOOL_SEARCH"} & said["env"].keys()
    assert said["availableModels"] == ["cloud", "claude-opus-5-5"]


def test_a_session_on_claude_may_search_the_web_and_may_not_leave_blocks_for_an_engine(
    tmp_path: Path,
) -> None:
    mixed = "developers: {claude: {models: [cloud, helper]}}"
    said = settings(planned(tmp_path, mixed), "claude")
    assert "permissions" not in said, "WebSearch is asked of the session's model"
    assert said["env"]["ENABLE_TOOL_SEARCH"] == "false", "it may switch to 'helper'"
    assert said["disableAutoMode"] == "disable"


@pytest.mark.parametrize(
    ("provider", "denied"),
    [
        ("provider: bedrock, id: anthropic.claude-opus-5-5, region: eu-west-1", True),
        (
            "provider: openai_compatible, id: qwen, url: 'http://10.0.0.9/v1', api_key: {env: K}",
            True,
        ),
        ("provider: vertex_ai, id: claude-opus-5-5, project: p, region: r", False),
        ("provider: openai, id: gpt-5, api_key: {env: K}", False),
    ],
)
def test_web_search_is_denied_where_the_provider_refuses_it(
    provider: str, denied: bool, tmp_path: Path
) -> None:
    said = settings(
        planned(
            tmp_path,
            f"models: {{cloud: null, other: {{{provider}}}}}\n"
            "aliases: {opus: other}\nfallbacks: null\n"
            "developers: {claude: {model: other, models: [other]}}",
        ),
        "claude",
    )
    assert ("WebSearch" in said.get("permissions", {}).get("deny", ())) is denied


def test_what_the_group_says_itself_stands(tmp_path: Path) -> None:
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
    said, small = settings(plan, "local"), settings(plan, "small")
    assert said["permissions"]["deny"] == ["Read(.env)"]
    assert said["availableModels"] == ["coder"]
    assert "fallbackModel" not in said, "'cloud' is not among them"
    assert "disableAutoMode" not in said
    assert said["env"]["ENABLE_TOOL_SEARCH"] == "auto"
    assert said["env"]["CLAUDE_CODE_MODEL_CAPABILITIES"] == "coder=-effort"
    denied = small["permissions"]["deny"]
    assert denied[:3] == ["CronList", "WebSearch", "CronDelete"]
    assert "NotebookEdit" not in denied


def test_a_person_with_a_key_for_fewer_models_is_offered_those(tmp_path: Path) -> None:
    said = """
developers: {local: {key: null}}
keys: {root: {env: ROOT}, people: {local: {models: [coder, helper, cloud]}}}
"""
    found = settings(planned(tmp_path, said), "local")
    assert "oss" not in found["availableModels"]
    assert found["fallbackModel"] == ["cloud"]
    assert "oss=" not in found["env"]["CLAUDE_CODE_MODEL_CAPABILITIES"]


def test_thinking_is_turned_off_as_the_models_want_to_be_told(tmp_path: Path) -> None:
    off = "CLAUDE_CODE_DISABLE_THINKING"
    plan = planned(tmp_path, "developers: {claude: {thinking: false}}")
    quiet, claude, small = (settings(plan, user) for user in ("quiet", "claude", "small"))
    assert quiet["alwaysThinkingEnabled"] is claude["alwaysThinkingEnabled"] is False
    assert off not in quiet["env"], "the client would send nothing, and the engine would think"
    assert claude["env"][off] == "1"
    assert small["env"][off] == "1", "its only model has no reasoning parser"
    assert off not in settings(plan, "local")["env"]


def test_every_derived_setting_says_why(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    told = {
        each.path[-1]: each
        for each in values(plan, plan.hosts["dev"])
        if each.path[:3] == ("clients", "users", "local")
    }
    for name in (
        *("CLAUDE_CODE_MODEL_CAPABILITIES", "ENABLE_TOOL_SEARCH", "ANTHROPIC_DEFAULT_MODEL"),
        *("disableAutoMode", "availableModels", "fallbackModel", "deny"),
    ):
        assert told[name].reason, name
        assert any(source.place for source in told[name].sources), name
    assert "'coder', 'helper', 'oss'" in told["ENABLE_TOOL_SEARCH"].reason
