"""The table of model families, and the suggestions for unknown names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.checks.vllm.parsers import close_name, family_of
from mirrorfleet.data import table
from tests.lab import families as golden

ROOT = Path(__file__).parents[2]
FAMILIES: dict[str, dict[str, Any]] = table("families")
SOURCES = {"tools", "reasoning", "recipes", "vendor", "registry"}
CASES = golden.cases()

RELEASES = sorted(path.stem for path in (ROOT / "mirrorfleet/data/vllm_known").glob("*.yml"))


@pytest.mark.parametrize("kind", ["tool", "reasoning"])
@pytest.mark.parametrize("release", RELEASES)
def test_every_release_of_vllm_has_the_parsers_of_families(release: str, kind: str) -> None:
    known = table(f"vllm_known/{release}")[f"{kind}_parsers"]
    used = {family[key] for family in FAMILIES.values() if (key := f"{kind}_parser") in family}
    assert used <= set(known)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_models_and_a_source(family: str) -> None:
    content = FAMILIES[family]
    assert content["models"]
    assert set(content["sources"]) <= SOURCES
    assert content["sources"] or family == "plain"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_golden_parse_or_a_reason(family: str) -> None:
    has_cases = any(case["family"] == family for case in CASES)
    assert has_cases is not (family in golden.LEFT_OUT)


def test_every_golden_parse_has_a_family_and_a_unique_name() -> None:
    names = [golden.name(case) for case in CASES]
    assert len(names) == len(set(names))
    assert {case["family"] for case in CASES} <= FAMILIES.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_table_has_the_defects_of_the_golden_parses(family: str) -> None:
    parsers = {key: FAMILIES[family].get(key) for key in ("tool_parser", "reasoning_parser")}
    cases = [case for case in CASES if case["family"] == family and parsers.items() <= case.items()]
    is_faulty = any("faults" in case or case["at_once"] for case in cases)
    assert ("limits" in FAMILIES[family]) is is_faulty
    assert any(case["at_once"] for case in cases) is (
        "arrives whole" in FAMILIES[family].get("limits", "")
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_with_thinking_has_a_mode(family: str) -> None:
    thinking = FAMILIES[family].get("thinking")
    if thinking is None:
        assert "reasoning_parser" not in FAMILIES[family]
    elif thinking["mode"] == "always":
        assert thinking.keys() <= {"mode", "efforts"}
    else:
        assert thinking["mode"] == "switchable"
        assert thinking["default"] in ("enabled", "disabled", "adaptive")
        # Thinking can be enabled and disabled: by default, or with arguments of the template.
        assert {"enabled", "disabled"} <= {thinking["default"], *thinking}


@pytest.mark.parametrize("case", CASES, ids=golden.name)
def test_the_arguments_of_a_case_match_the_table(case: golden.Case) -> None:
    thinking = FAMILIES[case["family"]].get("thinking", {})
    if case["kwargs"] and "default" in thinking:
        state = "disabled" if case.get("thought") == "" else "enabled"
        assert _written(case["kwargs"]) == thinking[state]


def _written(arguments: dict[str, Any]) -> dict[str, str]:
    """Return the values in YAML notation."""
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in arguments.items()
    }


def test_differences_and_fixed_defects_are_reported() -> None:
    case = next(case for case in CASES if case["family"] == "hermes")
    arguments = json.dumps(golden.CALLS[0][1])
    right = {"thought": "", "text": golden.TEXT, "calls": [["Bash", arguments]], "longest": ""}
    wrong = {**right, "calls": []}
    at_once = {**right, "longest": arguments}
    faulty = {**case, "faults": {"in steps": "Calls are lost."}}

    def found(case: golden.Case, streamed: object, *in_steps: object) -> list[str]:
        answer = {"whole": [right], "streamed": [streamed], "in steps": list(in_steps)}
        return golden.differences(case, answer)

    assert found(case, right, right, right) == []
    [difference] = found(case, right, right, wrong)
    assert difference.startswith("in steps: calls is []")
    assert found(faulty, right, right, wrong) == []
    assert found(faulty, right, right) == [
        "in steps: vLLM no longer has the fault: Calls are lost."
    ]
    assert found(case, at_once, right) == ["streamed: at_once is True"]
    assert golden.differences(case, {"error": "KeyError: 'x'"}) == ["KeyError: 'x'"]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_is_suggested_for_another_version(family: str) -> None:
    """The tool calls of a later model can have another format, which needs another parser."""
    later = re.sub(r"\d+(\.\d+)?", lambda found: f"{float(found[0]) + 7:g}", family)
    assert later == family or close_name(later, FAMILIES) == ""
    assert close_name(f"{family}x", FAMILIES) in ("", f"Did you mean '{family}'?")


@pytest.mark.parametrize("family", FAMILIES)
def test_families_with_similar_names_have_the_same_tool_parser(family: str) -> None:
    suggested = close_name(family, [other for other in FAMILIES if other != family])
    for other in re.findall("'(.+)'", suggested):
        assert FAMILIES[other].get("tool_parser") == FAMILIES[family].get("tool_parser")


@pytest.mark.parametrize(
    ("slip", "family"),
    [
        ("qwen3_coder", "qwen3-coder"),
        ("qwen3-codr", "qwen3-coder"),
        ("glm4.7", "glm-4.7"),
        ("qwen-3", "qwen3"),
        ("gptoss", "gpt-oss"),
        ("Gemma4", "gemma-4"),
    ],
)
def test_a_typing_mistake_is_recognized(slip: str, family: str) -> None:
    assert close_name(slip, FAMILIES) == f"Did you mean '{family}'?"


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("glm-5.1", "glm-5"),
        ("zai-org/GLM-4.6-FP8", "glm-4.5"),
        ("kimi_k2.6", "kimi-k2"),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct-FP8", "qwen3-coder"),
        ("qwen2.5-32b-instruct", "hermes"),
        ("qwen3-30b-a3b", "qwen3"),
        ("qwen3-30b-a3b-instruct-2507", "qwen3-instruct"),
        ("openai/gpt-oss-120b", "gpt-oss"),
        ("devstral", "mistral"),
    ],
)
def test_the_family_of_a_model_is_suggested(model: str, family: str) -> None:
    assert family_of(model, FAMILIES).startswith(f"Write '{family}', the family of ")


@pytest.mark.parametrize(
    "name",
    [
        "qwen3.7",
        "qwen3-vl",
        "qwen3-235b-a22b-instruct",  # no thinking, and the family qwen3 has a reasoning parser
        "deepseek-r3",
        "deepseek-r1-distill-qwen-7b",
        "kimi-k4",
        "glm-4.9",
        "gemma-3",
        "llama-3.3",
        "minicpm-o",
        "hunyuan-7b",
    ],
)
def test_nothing_is_suggested_for_a_model_without_a_family(name: str) -> None:
    assert family_of(name, FAMILIES) == ""
    assert close_name(name, FAMILIES) == ""
