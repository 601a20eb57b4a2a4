"""The schema for editors: it accepts every file of a fleet, and completes what is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from mirrorfleet.cli.pages import editor_schema
from mirrorfleet.data import proposed, table

HERE = Path(__file__).parent
FILES = sorted((HERE / "good").glob("**/*.yml"))
SCHEMA = editor_schema.schema()
EDITOR = Draft202012Validator(SCHEMA)


def mistakes(text: str) -> list[str]:
    found = EDITOR.iter_errors(yaml.safe_load(text))
    return sorted(".".join(map(str, error.absolute_path)) for error in found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HERE)))
def test_no_good_file_is_marked(path: Path) -> None:
    assert mistakes(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "developers: {defaults: {version: 2.1.331}, a: {extends: b, seats: {file: people.csv}}}",
        "include: base.yml\nmodels: {coder: null, cloud: {api_key: {env: X}, context: 200k}}",
        "hosts: {gpu: {x-rack: 7}}\nx-shared: [1]",
        "developers: {a: {settings: {cleanupPeriodDays: 3, env: {MY_OWN: x}}}}",
    ],
)
def test_parts_of_a_fleet_are_not_marked(text: str) -> None:
    assert mistakes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "gatway: {}",
        "hosts: {gpu: {addres: 10.0.0.1}}",
        "models: {a: {engine: vllm, family: qwen33}}",
        "models: {a: {engine: vllm, context: 256Kb}}",
        "developers: {a: {settings: {cleanupPeriodDay: 3}}}",
        "developers: {a: {settings: {model: opus}}}",
        "gateway: {port: '4000'}",
    ],
)
def test_mistakes_are_marked(text: str) -> None:
    assert mistakes(text) != []


def properties(part: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, list):
        for inner in part:
            yield from properties(inner, path)
    elif isinstance(part, dict):
        for name, inner in part.get("properties", {}).items():
            if isinstance(inner, dict):
                yield f"{path}.{name}", inner
        for name, inner in part.items():
            if name not in ("if", "examples", "default", "settings-of-claude"):
                yield from properties(inner, f"{path}.{name}")


def test_every_key_has_a_title_a_description_and_an_example() -> None:
    found = dict(properties(SCHEMA, ""))
    named = {path: each for path, each in found.items() if "title" in each}
    # Others are files of people, and the conditions that select a kind of model.
    assert len(named) > 400
    bare = {path for path in found.keys() - named.keys() if not path.endswith(".file")}
    assert bare == set()
    incomplete = [
        path for path, each in named.items() if not each["examples"] or not each.get("description")
    ]
    assert incomplete == []


def test_families_releases_and_settings_are_completed() -> None:
    known = SCHEMA["$defs"]
    assert known["families"]["enum"] == [*table("families")]
    for service in ("claude", "litellm", "ollama", "vllm"):
        assert proposed(service) in known[f"releases-of-{service}"]["enum"]
    settings = known["settings-of-claude"]["properties"]
    assert {"hooks", "outputStyle"} <= settings.keys()
    assert not settings.keys() & table("claude_derived")["settings"].keys()
    assert "BASH_DEFAULT_TIMEOUT_MS" in settings["env"]["properties"]
