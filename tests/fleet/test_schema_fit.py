"""Whether a file fits the schema: the quick answer is the same as that of jsonschema."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mirrorfleet.config import schema, schema_fit, shorthand
from mirrorfleet.config.document import read
from mirrorfleet.config.problems import FleetError
from mirrorfleet.config.schema_validator import validator

HERE = Path(__file__).parent
FILES = sorted([*(HERE / "good").glob("*.yml"), *(HERE / "bad").glob("*.yml")])


def _read(path: Path) -> Any:
    """Return the data of a fleet file, ``None`` if it is no mapping of YAML."""
    try:
        return shorthand.expand(read(path)).data
    except FleetError:
        return None


def test_every_keyword_of_json_schema_is_known_or_left_to_jsonschema() -> None:
    known = {*schema_fit.CHECKS, *schema_fit.UNKNOWN}
    assert set(Draft202012Validator.VALIDATORS) <= known
    with pytest.raises(schema_fit.Undecided):
        schema_fit.fits({}, {"patternProperties": {"^x": {"type": "string"}}}, {"x": 1})


def test_what_only_jsonschema_knows_is_decided_by_it() -> None:
    part = {"patternProperties": {"^x": {"type": "string"}}}
    assert schema.is_valid({"x": "1"}, part)
    assert not schema.is_valid({"x": 1}, part)


@pytest.mark.slow
def test_good_and_bad_files() -> None:
    outcomes = [_agreed(data) for path in FILES if (data := _read(path)) is not None]
    assert outcomes.count(True) > 50
    assert outcomes.count(False) > 50


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70_000),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["", "a\n", "a\x07b", "gpu", "1.106.12", "10.0.0.1", 1.0, 131072.0]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
GOOD = [data for path in FILES if path.parent.name == "good" and (data := _read(path))]


@pytest.mark.slow
@given(st.data())
@settings(max_examples=50)
def test_good_files_with_random_changes(data: st.DataObject) -> None:
    content = copy.deepcopy(data.draw(st.sampled_from(GOOD)))
    for _ in range(data.draw(st.integers(1, 2))):
        at: Any = content
        while True:
            key = data.draw(st.sampled_from([*at] if isinstance(at, dict) else range(len(at))))
            if not (isinstance(at[key], dict | list) and at[key]) or data.draw(st.booleans()):
                break
            at = at[key]
        at[key] = data.draw(VALUES)
    _agreed(content)


def _agreed(data: Any) -> bool:
    """Return whether data is valid, on which both answers agree."""
    answer = schema_fit.fits(schema.root(), schema.root(), data)
    assert answer == validator().is_valid(data)
    return answer
