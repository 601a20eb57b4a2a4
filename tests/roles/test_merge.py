"""A developer's own settings file with the keys that the fleet owns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.claude.render import NotOurs, merged

OWNED = {"model": "coder", "env": {"ANTHROPIC_BASE_URL": "http://gw:4000", "API_TIMEOUT_MS": "1"}}
WRITTEN = (json.dumps(OWNED, indent=2) + "\n").encode()


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    # A few names only, so that the two files often speak of the same key.
    return st.dictionaries(st.sampled_from(["model", "env", "a", "über", ""]), values, max_size=4)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # A half of a surrogate pair is what is left of an emoji that a program cut in two.
    | st.text(st.characters())
    | st.just("\ud83d"),
    lambda values: st.lists(values, max_size=3) | objects(values),
    max_leaves=8,
)


def bytes_of(value: Any, **how: Any) -> bytes:
    return json.dumps(value, **how).encode()


@pytest.mark.parametrize("content", [None, b"", b" \n"])
def test_no_file_or_an_empty_one(content: bytes | None) -> None:
    assert merged(content, OWNED) == WRITTEN


def test_keys_of_the_developer_keep_their_place_and_value() -> None:
    theirs = {"theme": "dark", "env": {"EDITOR": "vi", "API_TIMEOUT_MS": "9"}, "hooks": {"x": []}}
    assert list(json.loads(merged(bytes_of(theirs), OWNED)).items()) == [
        ("theme", "dark"),
        ("env", {"EDITOR": "vi", "API_TIMEOUT_MS": "1", "ANTHROPIC_BASE_URL": "http://gw:4000"}),
        ("hooks", {"x": []}),
        ("model", "coder"),
    ]


def test_a_value_of_another_kind_gives_way() -> None:
    assert json.loads(merged(b'{"env": "oops", "model": {"a": 1}}', OWNED)) == OWNED


def test_a_number_that_python_takes_for_true_is_not_true() -> None:
    assert json.loads(merged(b'{"done": 1}', {"done": True}))["done"] is True


def test_words_of_any_language_stay_readable() -> None:
    assert "für Ünal 🙂".encode() in merged('{"name": "für Ünal 🙂"}'.encode(), OWNED)


def test_half_an_emoji_survives() -> None:
    assert rb'"\ud83d"' in merged(rb'{"cut": "\ud83d"}', OWNED)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{not json", "is not valid JSON"),
        (b'{"a": 1,}', "is not valid JSON"),
        (b"// settings\n{}", "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b'{"a": ' * 100_000 + b"1" + b"}" * 100_000, "is not valid JSON"),
        (b'{"a": NaN}', "is not valid JSON"),
        (b'{"a": 1e999}', "is not valid JSON"),
        (b"[]", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b'"text"', "is not a JSON object"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_not_an_object_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(NotOurs, match=reason):
        merged(content, OWNED)


@given(theirs=objects(VALUES), owned=objects(VALUES))
def test_owned_keys_stand_and_the_others_survive(
    theirs: dict[str, Any], owned: dict[str, Any]
) -> None:
    both = json.loads(merged(bytes_of(theirs), owned))
    assert stands(owned, both)
    assert survives(theirs, owned, both)


@given(theirs=objects(VALUES), owned=objects(VALUES))
def test_twice_is_once(theirs: dict[str, Any], owned: dict[str, Any]) -> None:
    once = merged(bytes_of(theirs), owned)
    assert merged(once, owned) == once


@given(theirs=objects(VALUES), indent=st.sampled_from([None, 1, 4]))
def test_where_nothing_changes_the_very_bytes_stay(
    theirs: dict[str, Any], indent: int | None
) -> None:
    content = bytes_of(theirs | OWNED, indent=indent)
    assert merged(content, OWNED) == content


def stands(owned: Any, both: Any) -> bool:
    """Is every owned value in the result?"""
    if isinstance(owned, dict):
        return isinstance(both, dict) and all(
            key in both and stands(value, both[key]) for key, value in owned.items()
        )
    return json.dumps(owned) == json.dumps(both)  # to JSON, true is not 1


def survives(theirs: Any, owned: Any, both: Any) -> bool:
    """Is every value of the developer in the result, but for what is owned?"""
    if isinstance(theirs, dict) and isinstance(owned, dict):
        return all(
            survives(value, owned[key], both[key]) if key in owned else stands(value, both[key])
            for key, value in theirs.items()
        )
    return True
