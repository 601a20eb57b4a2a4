"""Output of each model family, parsed on the engine host by vLLM's own parsers.

The weights of most families are too large for a lab; their parsers need no weights.
"""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.lab import families, look

PROGRAM = (Path(__file__).parents[1] / "parse.py").read_text("utf-8")
CASES = families.cases()
NOT_STREAMED = [case for case in CASES if "not_streamed" in case]


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """Parse all cases in one process: importing vLLM takes longer than parsing."""
    python = "/opt/mirrorfleet/vllm/environments/*/bin/python"
    printed = look.run("gpu", f"{python} -c {shlex.quote(PROGRAM)}", stdin=json.dumps(CASES))
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


@pytest.mark.parametrize("case", CASES, ids=families.name)
def test_a_client_receives_the_output_of_a_family(
    answers: dict[str, Any], case: families.Case
) -> None:
    assert families.differences(case, answers[families.name(case)]) == []


@pytest.mark.parametrize("case", NOT_STREAMED, ids=families.name)
def test_streams_that_a_lab_cannot_parse(case: families.Case) -> None:
    pytest.skip(f"{families.name(case)}: {case['not_streamed']}")


@pytest.mark.parametrize("family", families.LEFT_OUT)
def test_families_that_a_lab_cannot_parse(family: str) -> None:
    pytest.skip(f"{family}: {families.LEFT_OUT[family]}")
