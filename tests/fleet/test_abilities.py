"""The abilities of models, and where each comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.config import Fleet
from mirrorfleet.engines.abilities import Abilities, Thinking, abilities, known_abilities
from mirrorfleet.planning.explain import values

FLEET = """
version: 1
name: abilities
hosts: {{gpu: {{address: 10.0.0.1, gpus: {{count: 8}}}}, gw: {{address: 10.0.0.2}}}}
models:
  m: {{{model}}}
gateway: {{hosts: [gw], version: 1.106.12, master_key: {{env: KEY}}}}
keys: {{root: {{env: ROOT}}}}
"""
WINDOW = "context: 65536, output: 8192"
AT_URL = f"engine: vllm, url: 'http://10.0.0.9:8000', {WINDOW}"
VLLM = f"engine: vllm, version: 0.32.0, hosts: [gpu], {WINDOW}"
REVISION = "revision: 0123456789012345678901234567890123456789"


def loaded(directory: Path, model: str) -> Fleet:
    path = directory / "fleet.yml"
    path.write_text(FLEET.format(model=model))
    return fleet.load(path)


def of(directory: Path, model: str) -> Abilities:
    return abilities(loaded(directory, model).models["m"])


@pytest.mark.parametrize(
    ("model", "vision", "source"),
    [
        (f"{AT_URL}, family: kimi-k3", True, "the family kimi-k3"),
        (f"{AT_URL}, family: kimi-k3, vision: false", False, "the fleet file"),
        (f"{AT_URL}, family: qwen3", False, "assumed"),
        (f"{AT_URL}, family: qwen3, vision: true", True, "the fleet file"),
        (f"{AT_URL}, family: glm-4.5, served_name: zai-org/GLM-4.5V-FP8", True, "GLM-4.5V of"),
        (f"{AT_URL}, family: glm-4.5, served_name: zai-org/GLM-4.5-Air", False, "GLM-4.5-Air of"),
        (f"{AT_URL}, family: glm-4.5", False, "assumed"),
        (
            f"{VLLM}, family: mimo-v2.5, weights: XiaomiMiMo/MiMo-V2.5-Pro, {REVISION}",
            False,
            "MiMo-V2.5-Pro of",
        ),
        (
            f"{VLLM}, family: kimi-k3, weights: {{path: /srv/k3}}, "
            "arguments: {language-model-only: true}",
            False,
            "'arguments.language-model-only'",
        ),
        (f"engine: ollama, url: 'http://10.0.0.9:11434', {WINDOW}", False, "assumed"),
        (f"engine: external, url: 'http://10.0.0.9:1', {WINDOW}, vision: true", True, "the fleet"),
        ("provider: openai, id: gpt-4o, api_key: {env: K}", True, "LiteLLM's price list"),
        ("provider: openai, id: gpt-4, api_key: {env: K}", False, "LiteLLM's price list"),
        ("provider: openai, id: own, api_key: {env: K}, context: 9000, output: 900", False, "assu"),
        ("provider: anthropic, id: claude-opus-5-5, api_key: {env: K}", True, "the client's own"),
    ],
)
def test_vision_comes_from_the_most_exact_source(
    tmp_path: Path, model: str, vision: bool, source: str
) -> None:
    known = known_abilities(loaded(tmp_path, model).models["m"]).vision
    assert known.value is vision
    assert known.source.startswith(source)


@pytest.mark.parametrize(
    ("config", "vision"),
    [
        ({"num_attention_heads": 8}, False),
        ({"num_attention_heads": 8, "vision_config": {"depth": 2}}, True),
        ({"text_config": {"num_attention_heads": 8}, "vision_config": {"depth": 2}}, True),
    ],
)
def test_config_json_of_uploaded_weights_is_more_exact_than_the_family(
    tmp_path: Path, config: dict[str, Any], vision: bool
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/config.json").write_text(json.dumps(config))
    model = loaded(tmp_path, f"{VLLM}, weights: {{push: weights}}, family: kimi-k3").models["m"]
    assert known_abilities(model).vision == (vision, "config.json of the weights")


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        (f"{AT_URL}, family: hermes", Thinking("none", False)),
        (f"{AT_URL}, family: qwen3", Thinking("switchable", True)),
        (
            f"{AT_URL}, family: qwen3, served_name: Qwen/Qwen3-30B-A3B-Thinking-2507-FP8",
            Thinking("always", True),
        ),
        (f"{AT_URL}, family: qwen3, served_name: Qwen/Qwen3-30B-A3B", Thinking("switchable", True)),
        (f"{AT_URL}, family: deepseek-v3.1", Thinking("switchable", False)),
        (f"{AT_URL}, family: minimax-m2", Thinking("always", True)),
        (f"{AT_URL}, family: gpt-oss", Thinking("always", True, ("low", "medium", "high"))),
        (f"{AT_URL}, family: qwen3, thinking: false", Thinking("none", False)),
        (
            f"{AT_URL}, family: qwen3, thinking: {{mode: switchable, efforts: [low]}}",
            Thinking("switchable", True, ("low",)),
        ),
        (f"{AT_URL}, tool_parser: hermes, reasoning_parser: qwen3", Thinking("switchable", True)),
        (f"{AT_URL}, tool_parser: hermes, reasoning_parser: olmo3", Thinking("always", True)),
        ("provider: openai, id: gpt-4o, api_key: {env: K}", Thinking("none", False)),
        (
            "provider: openai, id: gpt-4o, api_key: {env: K}, thinking: true",
            Thinking("switchable", True),
        ),
    ],
)
def test_thinking_comes_from_the_file_or_the_family(
    tmp_path: Path, model: str, thinking: Thinking
) -> None:
    assert of(tmp_path, model).thinking == thinking


def test_vllm_starts_without_the_parsers_of_abilities_that_the_file_denies(tmp_path: Path) -> None:
    model = f"{VLLM}, weights: {{path: /srv/m}}, family: qwen3, thinking: false, tools: false"
    plan = fleet.plan(loaded(tmp_path, model)).hosts["gpu"].to_json()["engines"][0]
    assert not {"tool_parser", "reasoning_parser"} & plan.keys()
    assert plan["template_arguments"] == {"enable_thinking": False}


def test_arguments_of_the_file_replace_those_of_the_family(tmp_path: Path) -> None:
    own = "arguments: {default-chat-template-kwargs: {enable_thinking: true}}"
    model = f"{VLLM}, weights: {{path: /srv/m}}, family: qwen3, {own}"
    plan = fleet.plan(loaded(tmp_path, model)).hosts["gpu"].to_json()["engines"][0]
    assert "template_arguments" not in plan


@pytest.mark.parametrize(
    ("model", "enabled"),
    [
        ("tool_parser: kimi_k2, reasoning_parser: kimi_k2", {"thinking": True}),
        ("tool_parser: hermes, reasoning_parser: qwen3", {"enable_thinking": True}),
        ("tool_parser: hermes, reasoning_parser: granite", {"thinking": True}),
        (
            "family: qwen3, thinking: {mode: switchable, enabled: {on: 1}, disabled: {on: 0}}",
            {"on": 1},
        ),
    ],
)
def test_a_model_without_family_gets_the_arguments_of_its_parser(
    tmp_path: Path, model: str, enabled: dict[str, Any]
) -> None:
    gateway = fleet.plan(loaded(tmp_path, f"{AT_URL}, {model}")).hosts["gw"].gateway
    assert gateway
    [route] = gateway.routes
    assert route.thinking_arguments
    assert route.thinking_arguments.enabled == enabled


def test_the_plan_explains_each_ability(tmp_path: Path) -> None:
    plan = fleet.plan(loaded(tmp_path, f"{AT_URL}, family: kimi-k3, documents: false"))
    found = {
        value.path[-1]: (value.value, value.reason, [s.key for s in value.sources if s.place])
        for value in values(plan, plan.hosts["gw"])
        if "abilities" in value.path and "proofs" not in value.path
    }
    assert found["vision"] == (True, "the family kimi-k3", ["models.m.family"])
    assert found["documents"] == (
        False,
        "the fleet file",
        ["models.m.documents", "models.m.family"],
    )
    assert found["mode"][:2] == ("switchable", "the family kimi-k3")
