"""Merging owned keys into a developer's settings file, and restoring the file."""

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
    # Few names, so that two files often have the same key.
    return st.dictionaries(st.sampled_from(["model", "env", "a", "über", ""]), values, max_size=4)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # One half of a surrogate pair remains if a program cuts an emoji in two.
    | st.text(st.characters())
    | st.just("\ud83d"),
    lambda values: st.lists(values, max_size=3) | objects(values),
    max_leaves=8,
)


def first_run(content: bytes | None, owned: dict[str, Any]) -> bytes | None:
    """Return the content of the file after the first run."""
    return merged(content, None, owned)[0]


def loaded(content: bytes | None) -> Any:
    return json.loads(content if content and content.strip() else b"{}")


def bytes_of(value: Any, **how: Any) -> bytes:
    return json.dumps(value, **how).encode()


@pytest.mark.parametrize("content", [None, b"", b" \n"])
def test_a_missing_or_empty_file_gets_the_owned_keys(content: bytes | None) -> None:
    assert first_run(content, OWNED) == WRITTEN


def test_keys_of_the_developer_keep_their_place_and_value() -> None:
    theirs = {"theme": "dark", "env": {"EDITOR": "vi", "API_TIMEOUT_MS": "9"}, "hooks": {"x": []}}
    assert list(loaded(first_run(bytes_of(theirs), OWNED)).items()) == [
        ("theme", "dark"),
        ("env", {"EDITOR": "vi", "API_TIMEOUT_MS": "1", "ANTHROPIC_BASE_URL": "http://gw:4000"}),
        ("hooks", {"x": []}),
        ("model", "coder"),
    ]


def test_a_value_of_another_type_is_replaced() -> None:
    assert loaded(first_run(b'{"env": "oops", "model": {"a": 1}}', OWNED)) == OWNED


def test_one_is_not_taken_for_true() -> None:
    assert loaded(first_run(b'{"done": 1}', {"done": True}))["done"] is True


def test_text_is_not_escaped() -> None:
    after = first_run('{"name": "für Ünal 🙂"}'.encode(), OWNED)
    assert after and "für Ünal 🙂".encode() in after


def test_half_an_emoji_is_kept() -> None:
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
def test_a_file_that_is_not_a_json_object_is_rejected(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidFile, match=reason):
        first_run(content, OWNED)


@given(theirs=objects(VALUES), owned=objects(VALUES))
def test_owned_keys_are_set_and_others_are_kept(
    theirs: dict[str, Any], owned: dict[str, Any]
) -> None:
    both = loaded(first_run(bytes_of(theirs), owned))
    assert has_values(owned, both)
    assert keeps_own_values(theirs, owned, both)


def stored(backup: Backup | None) -> Backup | None:
    """Return the backup as the next run reads it."""
    return read_backups(backup_file({"file": backup})).get("file")


def contents(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes | None]:
    """Return contents of files that a developer may have, or None for no file."""
    as_written = st.builds(bytes_of, objects(values), indent=st.sampled_from([None, 1, 4]))
    return st.none() | st.sampled_from([b"", b" \n"]) | as_written


FILES = contents(VALUES)


@given(theirs=FILES, owned=objects(VALUES))
def test_merging_is_idempotent(theirs: bytes | None, owned: dict[str, Any]) -> None:
    content, backup = merged(theirs, None, owned)
    assert merged(content, stored(backup), owned) == (content, backup)


@given(theirs=FILES, owned=objects(VALUES))
def test_restoring_gives_the_original_bytes(theirs: bytes | None, owned: dict[str, Any]) -> None:
    content, backup = merged(theirs, None, owned)
    assert restored(content, stored(backup)) == theirs
    assert merged(content, stored(backup), {}) == (theirs, None)


@given(theirs=FILES, first=objects(VALUES), then=objects(VALUES))
def test_a_change_of_owned_keys_leaves_no_former_ones(
    theirs: bytes | None, first: dict[str, Any], then: dict[str, Any]
) -> None:
    content, backup = merged(theirs, None, first)
    changed, second = merged(content, stored(backup), then)
    straight, _ = merged(theirs, None, then)
    assert changed == straight
    assert restored(changed, stored(second)) == theirs


@given(theirs=FILES, owned=objects(VALUES))
def test_a_run_that_was_interrupted_after_the_backup_is_completed(
    theirs: bytes | None, owned: dict[str, Any]
) -> None:
    content, backup = merged(theirs, None, owned)
    assert merged(theirs, stored(backup), owned) == (content, backup)
    assert restored(theirs, stored(backup)) == theirs


@given(theirs=FILES, owned=objects(VALUES), key=st.text(min_size=1), value=VALUES)
def test_keys_that_the_developer_adds_later_are_kept(
    theirs: bytes | None, owned: dict[str, Any], key: str, value: Any
) -> None:
    content, backup = merged(theirs, None, owned)
    key = f"mine {key}"
    edited = bytes_of({**loaded(content), key: value}, indent=3)
    assert merged(edited, stored(backup), owned)[0] == edited, "the owned keys are unchanged"
    back = loaded(restored(edited, stored(backup)))
    assert json.dumps(back.pop(key)) == json.dumps(value)
    assert json.dumps(back, sort_keys=True) == json.dumps(loaded(theirs), sort_keys=True)


def test_restoring_keeps_an_owned_key_that_the_developer_changed() -> None:
    content, backup = merged(b'{"theme": "dark"}', None, OWNED)
    edited = bytes_of({**loaded(content), "model": "mine"})
    assert loaded(restored(edited, backup)) == {"theme": "dark", "model": "mine"}
    again, second = merged(edited, backup, OWNED)
    assert loaded(again)["model"] == "coder"
    assert loaded(restored(again, second))["model"] == "mine"


def test_restoring_removes_a_file_that_a_run_created() -> None:
    content, backup = merged(None, None, OWNED)
    reformatted = bytes_of(loaded(content))
    assert restored(content, backup) is None
    assert restored(reformatted, backup) is None
    assert restored(None, backup) is None, "the developer removed it"


def test_permission_rules_are_added_to_those_of_the_developer() -> None:
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
def test_an_invalid_backup_is_rejected(content: bytes) -> None:
    with pytest.raises(InvalidFile):
        read_backups(content)


def test_without_changes_there_is_no_backup() -> None:
    assert backup_file({"file": None}) is None
    assert read_backups(None) == {}


@given(theirs=objects(VALUES), indent=st.sampled_from([None, 1, 4]))
def test_a_file_without_changes_keeps_its_bytes(theirs: dict[str, Any], indent: int | None) -> None:
    content = bytes_of(theirs | OWNED, indent=indent)
    assert merged(content, None, OWNED) == (content, None)


def has_values(owned: Any, both: Any) -> bool:
    """Return whether the result has every owned value."""
    if isinstance(owned, dict):
        return isinstance(both, dict) and all(
            key in both and has_values(value, both[key]) for key, value in owned.items()
        )
    return json.dumps(owned) == json.dumps(both)  # to JSON, true is not 1


def keeps_own_values(theirs: Any, owned: Any, both: Any) -> bool:
    """Return whether the result has every value of the developer that is not owned."""
    if isinstance(theirs, dict) and isinstance(owned, dict):
        return all(
            keeps_own_values(value, owned[key], both[key])
            if key in owned
            else has_values(value, both[key])
            for key, value in theirs.items()
        )
    return True


def test_hooks_join_the_developers_own_of_the_same_event_and_go_alone() -> None:
    def hook(command: str) -> dict[str, Any]:
        return {"matcher": "Bash", "hooks": [{"type": "command", "command": command}]}

    theirs = {"hooks": {"PreToolUse": [hook("mine")]}}
    owned = {"hooks": {"PreToolUse": [hook("guard"), hook("log")], "Stop": [hook("note")]}}
    content, backup = merged(bytes_of(theirs), None, owned)
    assert loaded(content)["hooks"] == {
        "PreToolUse": [hook("mine"), hook("guard"), hook("log")],
        "Stop": [hook("note")],
    }
    content, backup = merged(content, backup, {"hooks": {"PreToolUse": [hook("log")]}})
    assert loaded(content) == {"hooks": {"PreToolUse": [hook("mine"), hook("log")]}}
    assert loaded(merged(content, backup, {})[0]) == theirs


def test_a_server_is_replaced_as_a_whole_and_the_developers_comes_back() -> None:
    theirs = {"mcpServers": {"wiki": {"command": "mine"}, "own": {"url": "http://x"}}}
    owned = {"mcpServers": {"wiki": {"type": "http", "url": "http://gw/mcp/wiki"}}}
    content, backup = merged(bytes_of(theirs), None, owned)
    assert loaded(content)["mcpServers"] == {**theirs["mcpServers"], **owned["mcpServers"]}
    assert loaded(merged(content, backup, {})[0]) == theirs
