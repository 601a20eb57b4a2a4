"""Requests for every family that thinks, converted and rendered on the engine host by vLLM's own
code: no weights are needed."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.lab import look, thinking

PROGRAM = (Path(__file__).parents[1] / "convert.py").read_text("utf-8")
OFF = ("nothing", "disabled")


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """Convert all requests in one process: importing vLLM takes longer than converting."""
    python = "/opt/mirrorfleet/vllm/environments/*/bin/python"
    command = f"{python} -c {shlex.quote(PROGRAM)}"
    printed = look.run("gpu", command, stdin=json.dumps(thinking.cases()))
    return thinking.by_family(json.loads(printed.splitlines()[-1]))


@pytest.mark.parametrize("family", thinking.golden())
def test_a_chat_template_receives_what_the_client_means(
    answers: dict[str, dict[str, Any]], family: str
) -> None:
    received = {name: answer["arguments"] for name, answer in answers[family].items()}
    assert received == thinking.golden()[family]


@pytest.mark.parametrize("family", ["deepseek-v3.2", "deepseek-v4", "deepseek-v4.1"])
def test_a_prompt_that_vllm_builds_itself_begins_or_skips_thinking(
    answers: dict[str, dict[str, Any]], family: str
) -> None:
    for name, answer in answers[family].items():
        assert answer["prompt"].endswith("</think>" if name in OFF else "<think>"), name


def test_kimi_k3_receives_its_own_levels(answers: dict[str, dict[str, Any]]) -> None:
    levels = {
        name: answer["prompt"].get("thinking_effort") for name, answer in answers["kimi-k3"].items()
    }
    assert levels == {
        **dict.fromkeys((*OFF, "adaptive")),
        "low": "low",
        "medium": "high",
        "high": "high",
        "xhigh": "max",
        "max": "max",
    }
