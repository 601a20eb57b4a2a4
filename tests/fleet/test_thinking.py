"""What the chat template of each family receives for on, off and effort: tests/lab/thinking.yml.

tests/lab/verify/test_thinking.py compares the same file with vLLM's own converter.
"""

from __future__ import annotations

import pytest

from mirrorfleet.config.abilities import ThinkingKeys
from mirrorfleet.data import table
from mirrorfleet.engines.vllm.derived import family_thinking
from mirrorfleet.roles.litellm.files.mirrorfleet_thinking import LEVELS, nearest
from tests.lab import thinking

THINKING = [name for name in table("families") if name in thinking.golden()]
SWITCHABLE = [
    name for name in THINKING if (known := family_thinking(name)) and known.mode == "switchable"
]


def of_family(family: str) -> ThinkingKeys:
    found = family_thinking(family)
    assert found
    return found


def test_the_golden_file_has_every_family_that_thinks() -> None:
    with_parser = [
        name
        for name, family in table("families").items()
        if "thinking" in family and "reasoning_parser" in family
    ]
    assert with_parser == THINKING
    assert thinking.by_family([thinking.received(case) for case in thinking.cases()]) == (
        thinking.golden()
    )


@pytest.mark.parametrize("family", SWITCHABLE)
def test_on_and_off_are_the_arguments_of_the_family(family: str) -> None:
    own = of_family(family)
    for request, received in thinking.golden()[family].items():
        if request in ("nothing", "disabled"):
            assert own.disabled.items() <= received.items(), request
        else:
            # A level of effort replaces the effort that enables thinking.
            graded = {"reasoning_effort"} if own.efforts else set()
            fixed = {name: own.enabled[name] for name in own.enabled.keys() - graded}
            assert fixed.items() <= received.items(), request
            assert not own.disabled.items() <= received.items(), request


@pytest.mark.parametrize("family", THINKING)
def test_a_family_receives_only_levels_that_it_supports(family: str) -> None:
    golden, own = thinking.golden()[family], of_family(family)
    fixed = {own.enabled.get("reasoning_effort"), own.disabled.get("reasoning_effort"), None}
    received = {arguments.get("reasoning_effort") for arguments in golden.values()}
    assert received <= {*own.efforts} | fixed
    if own.efforts:
        assert golden["low"].get("reasoning_effort") == nearest("low", own.efforts)


@pytest.mark.parametrize("family", THINKING)
def test_more_effort_is_never_less_thinking(family: str) -> None:
    golden = thinking.golden()[family]
    efforts = [golden[level].get("reasoning_effort") for level in thinking.LEVELS]
    ranks = [LEVELS.index(effort) for effort in efforts if effort in LEVELS]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    ("effort", "levels", "expected"),
    [
        ("high", ("low", "medium", "xhigh"), "xhigh"),
        ("medium", ("low", "high"), "high"),
        ("max", ("low",), "low"),
        ("unheard-of", ("low", "high"), "high"),
        ("low", (), None),
    ],
)
def test_a_level_is_replaced_by_the_nearest(
    effort: str, levels: tuple[str, ...], expected: str | None
) -> None:
    assert nearest(effort, levels) == expected
