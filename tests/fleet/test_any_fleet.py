"""Random fleet files: each gives problems or a plan of every host, never a traceback."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorfleet import fleet
from mirrorfleet.config.problems import FleetError
from mirrorfleet.planning.explain import values

HERE = Path(__file__).parent
WHOLE = [
    yaml.safe_load(path.read_text("utf-8"))
    for path in sorted([*(HERE / "good").glob("*.yml"), HERE / "bad" / "base" / "whole.yml"])
]

NAMES = st.sampled_from(["coder", "gpu", "gw", "dev", "team", "opus", "sonnet", "cloud", "unknown"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.binary(max_size=4),
    NAMES,
    st.sampled_from(["", "1.0", "0.32.0", "1.106.12", "2.1.331", "Qwen/Qwen3", "../..", "hermes"]),
    st.sampled_from([0, 1, 2, 4000, 8000, 65536, 131072, 10**30]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(NAMES, st.text(max_size=6)), inner, max_size=3),
        st.builds(lambda value: {"env": value}, inner),
        st.builds(lambda value: {"labels": value}, inner),
    ),
    max_leaves=6,
)

ALL = settings(max_examples=150)


def load_and_plan(text: str | bytes) -> None:
    """Load a file with this content, and plan it if it is accepted."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "fleet.yml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
        try:
            accepted = fleet.load(path)
        except FleetError as error:
            assert error.problems
            assert all(problem.mistake for problem in error.problems)
            assert all(problem.place.line >= 0 for problem in error.problems)
            return
    planned = fleet.plan(accepted)
    for plan in planned.hosts.values():
        plan.to_json()
        list(values(planned, plan))


@given(st.binary(max_size=60))
@ALL
def test_any_bytes(content: bytes) -> None:
    load_and_plan(content)


@given(st.text(alphabet="ab:-#&*!{}[],'\"|>?% \n\t<", max_size=60))
@ALL
def test_any_text_like_yaml(text: str) -> None:
    load_and_plan(text)


@pytest.mark.slow
@given(VALUES)
@ALL
def test_any_data(data: Any) -> None:
    load_and_plan(yaml.safe_dump(data))


@pytest.mark.slow
@given(st.data())
@ALL
def test_any_good_fleet_with_random_changes(data: st.DataObject) -> None:
    content = copy.deepcopy(data.draw(st.sampled_from(WHOLE)))
    for _ in range(data.draw(st.integers(1, 3))):
        _change(content, data)
    load_and_plan(yaml.safe_dump(content, sort_keys=False))


def _change(content: Any, data: st.DataObject) -> None:
    """Remove a random value, replace it, or add one."""
    at = content
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or data.draw(st.integers(0, 3)) == 0:
            break
        at = at[key]
    match data.draw(st.sampled_from(["remove", "replace", "add"])):
        case "remove":
            del at[key]
        case "replace":
            at[key] = data.draw(VALUES)
        case "add" if isinstance(at, dict):
            at[data.draw(NAMES)] = data.draw(VALUES)
        case _:
            at.append(data.draw(VALUES))


@pytest.mark.slow
def test_nested_yaml_aliases_do_not_exhaust_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 9)
    ]
    load_and_plan("\n".join(lines))


def test_a_deeply_nested_file() -> None:
    load_and_plan("[" * 100_000)
    load_and_plan("{a: " * 5_000 + "1" + "}" * 5_000)
