"""A developer's own settings file with the keys that the fleet owns, and the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorfleet.roles.claude.backup_file import backup_file, read_backups
from mirrorfleet.roles.claude.json_file import InvalidFile
from mirrorfleet.roles.claude.settings_backup import Backup, merged, restored

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


def first_run(content: bytes | None, owned: dict[str, Any]) -> bytes | None:
    """Return the file as the first run leaves it."""
    return merged(content, None, owned)[0]


def loaded(content: bytes | None) -> Any:
    return json.loads(content if content and content.strip() else b"{}")


def bytes_of(value: Any, **how: Any) -> bytes:
    return json.dumps(value, **how).encode()


@pytest.mark.parametrize("content", [None, b"", b" \n"])
def test_no_file_or_an_empty_one(content: bytes | None) -> None:
    assert first_run(content, OWNED) == WRITTEN


def test_keys_of_the_developer_keep_their_place_and_value() -> None:
    theirs = {"theme": "dark", "env": {"EDITOR": "vi", "API_TIMEOUT_MS": "9"}, "hooks": {"x": []}}
    assert list(loaded(first_run(bytes_of(theirs), OWNED)).items()) == [
        ("theme", "dark"),
        ("env", {"EDITOR": "vi", "API_TIMEOUT_MS": "1", "ANTHROPIC_BASE_URL": "http://gw:4000"}),
        ("hooks", {"x": []}),
        ("model", "coder"),
    ]


def test_a_value_of_another_kind_gives_way() -> None:
    assert loaded(first_run(b'{"env": "oops", "model": {"a": 1}}', OWNED)) == OWNED


def test_a_number_that_python_takes_for_true_is_not_true() -> None:
    assert loaded(first_run(b'{"done": 1}', {"done": True}))["done"] is True


def test_words_of_any_language_stay_readable() -> None:
    after = first_run('{"name": "für Ünal 🙂"}'.encode(), OWNED)
    assert after and "für Ünal 🙂".encode() in after


def test_half_an_emoji_survives() -> None:
    after = first_run(rb'{"cut": "\ud83d"}', OWNED)
    assert after and rb'"\ud83d"' in after


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
    with pytest.raises(InvalidFile, match=reason):
        first_run(content, OWNED)


@given(theirs=objects(VALUES), owned=objects(VALUES))
def test_owned_keys_stand_and_the_others_survive(
    theirs: dict[str, Any], owned: dict[str, Any]
) -> None:
    both = loaded(first_run(bytes_of(theirs), owned))
    assert stands(owned, both)
    assert survives(theirs, owned, both)


def stored(backup: Backup | None) -> Backup | None:
    """Return the backup as the next run reads it on the host."""
    return read_backups(backup_file({"file": backup})).get("file")


def contents(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes | None]:
    """Any file that a developer may have, or none."""
    as_written = st.builds(bytes_of, objects(values), indent=st.sampled_from([None, 1, 4]))
    return st.none() | st.sampled_from([b"", b" \n"]) | as_written


FILES = contents(VALUES)


@given(theirs=FILES, owned=objects(VALUES))
def test_twice_is_once(theirs: bytes | None, owned: dict[str, Any]) -> None:
    content, backup = merged(theirs, None, owned)
    assert merged(content, stored(backup), owned) == (content, backup)


@given(theirs=FILES, owned=objects(VALUES))
def test_the_way_back_leads_to_the_very_bytes(theirs: bytes | None, owned: dict[str, Any]) -> None:
    content, backup = merged(theirs, None, owned)
    assert restored(content, stored(backup)) == theirs
    assert merged(content, stored(backup), {}) == (theirs, None)


@given(theirs=FILES, first=objects(VALUES), then=objects(VALUES))
def test_a_fleet_that_changes_its_mind_leaves_no_trace(
    theirs: bytes | None, first: dict[str, Any], then: dict[str, Any]
) -> None:
    content, backup = merged(theirs, None, first)
    changed, second = merged(content, stored(backup), then)
    straight, _ = merged(theirs, None, then)
    assert changed == straight
    assert restored(changed, stored(second)) == theirs


@given(theirs=FILES, owned=objects(VALUES))
def test_a_run_that_was_cut_after_the_note_heals(
    theirs: bytes | None, owned: dict[str, Any]
) -> None:
    content, backup = merged(theirs, None, owned)
    assert merged(theirs, stored(backup), owned) == (content, backup)
    assert restored(theirs, stored(backup)) == theirs


@given(theirs=FILES, owned=objects(VALUES), key=st.text(min_size=1), value=VALUES)
def test_what_the_developer_adds_afterwards_stays(
    theirs: bytes | None, owned: dict[str, Any], key: str, value: Any
) -> None:
    content, backup = merged(theirs, None, owned)
    key = f"mine {key}"
    edited = bytes_of({**loaded(content), key: value}, indent=3)
    assert merged(edited, stored(backup), owned)[0] == edited, "nothing of ours is wrong"
    back = loaded(restored(edited, stored(backup)))
    assert json.dumps(back.pop(key)) == json.dumps(value)
    assert json.dumps(back, sort_keys=True) == json.dumps(loaded(theirs), sort_keys=True)


def test_an_owned_key_that_the_developer_changed_is_his_when_we_leave() -> None:
    content, backup = merged(b'{"theme": "dark"}', None, OWNED)
    edited = bytes_of({**loaded(content), "model": "mine"})
    assert loaded(restored(edited, backup)) == {"theme": "dark", "model": "mine"}
    again, second = merged(edited, backup, OWNED)
    assert loaded(again)["model"] == "coder"
    assert loaded(restored(again, second))["model"] == "mine"


def test_a_file_that_only_we_made_goes() -> None:
    content, backup = merged(None, None, OWNED)
    reformatted = bytes_of(loaded(content))
    assert restored(content, backup) is None
    assert restored(reformatted, backup) is None
    assert restored(None, backup) is None, "the developer removed it"


def test_rules_stand_beside_those_of_the_developer() -> None:
    theirs = b'{"permissions": {"allow": ["Bash(make:*)", "WebFetch"], "deny": "oops"}}'
    owned = {
        "permissions": {"allow": ["WebFetch", "Read"], "deny": ["Read(.env)"], "ask": ["Edit"]}
    }
    content, backup = merged(theirs, None, owned)
    assert loaded(content)["permissions"] == {
        "allow": ["Bash(make:*)", "WebFetch", "Read"],
        "deny": ["Read(.env)"],
        "ask": ["Edit"],
    }
    edited = loaded(content)
    edited["permissions"]["allow"].append("Glob")
    edited["permissions"]["ask"].append("Write")
    assert loaded(restored(bytes_of(edited), backup))["permissions"] == {
        "allow": ["Bash(make:*)", "WebFetch", "Glob"],
        "deny": "oops",
        "ask": ["Write"],
    }
    assert restored(content, backup) == theirs


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{",
        b'{"files": 1}',
        b'{"files": {"a": {}}}',
        b'{"files": {"a": []}}',
        b'{"files": {"a": {"written": "", "original": "%", "changes": []}}}',
        b'{"files": {"a": {"written": "", "original": null, "changes": [{"path": 1}]}}}',
    ],
)
def test_a_receipt_that_another_hand_has_changed_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidFile):
        read_backups(content)


def test_nothing_to_take_back_is_no_receipt() -> None:
    assert backup_file({"file": None}) is None
    assert read_backups(None) == {}


@given(theirs=objects(VALUES), indent=st.sampled_from([None, 1, 4]))
def test_where_nothing_changes_the_very_bytes_stay(
    theirs: dict[str, Any], indent: int | None
) -> None:
    content = bytes_of(theirs | OWNED, indent=indent)
    assert merged(content, None, OWNED) == (content, None)


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
