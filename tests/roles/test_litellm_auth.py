"""The key check of a gateway without LiteLLM: parsing keys.json, and deciding on requests.

The lab tests it in a real gateway.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import timeit
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "roles/litellm/files/mirrorfleet_auth.py"
ADA, LIN, OPS, MASTER = "sk-ada-1", "sk-lin-2", "sk-ops-3", "sk-master-4"


def load(path: Path) -> ModuleType:
    """Import the handler as LiteLLM does: by its path, without an entry in sys.modules."""
    spec = importlib.util.spec_from_file_location("mirrorfleet_auth", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


with pytest.MonkeyPatch.context() as patch:
    patch.setenv("MIRRORFLEET_KEYS", "/nowhere")
    patch.syspath_prepend(str(SOURCE.parent))
    auth = load(SOURCE)
    key_file = sys.modules["mirrorfleet_key_file"]


def entry(key: str, name: str, role: Any = "developer", **more: Any) -> dict[str, Any]:
    return {"sha256": auth.digest(key), "name": name, "role": role, **more}


def document(*entries: Any) -> str:
    return json.dumps({"version": 2, "keys": list(entries)})


def ring(current: str | None, former: str = document()) -> Any:
    """Return the keys of a gateway with these files."""
    directory = Path(tempfile.mkdtemp())
    (directory / "former.json").write_text(former)
    if current is not None:
        (directory / "keys.json").write_text(current)
    return key_file.KeyRing(directory)


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


KEYS = ring(
    document(
        entry(ADA, "ada", group="team"),
        entry(LIN, "lin", models=["coder"]),
        entry(OPS, "ops", "admin"),
    )
)


def unreadable(*_: Any, **__: Any) -> str:
    raise OSError("too many open files")


def replace(path: Path, text: str) -> None:
    """Replace a file atomically, as the role does."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def refusal(presented: str | None, path: str = "/v1/messages", **files: Any) -> tuple[int, str]:
    """Return the status and the message of a refused request."""
    with pytest.raises(auth.Refused) as caught:
        auth.decide(presented, path, files.get("keys", KEYS), files.get("master", MASTER))
    return caught.value.code, str(caught.value)


def test_a_key_gives_name_role_and_models_of_its_holder() -> None:
    def holder(key: str) -> Any:
        return auth.decide(key, "/v1/messages", KEYS, MASTER)

    assert holder(ADA) == ("ada", "developer", "team", (), None)
    assert holder(LIN) == ("lin", "developer", "", ("coder",), None)
    assert holder(OPS) == ("ops", "admin", "", (), None)
    assert holder(MASTER) == ("master", "admin", "", (), None)


@pytest.mark.parametrize("presented", [None, "", "sk-wrong", ADA.upper(), f" {ADA}", "sk-ü\udcff"])
def test_a_missing_or_wrong_key_is_401_and_not_in_the_message(presented: str | None) -> None:
    code, message = refusal(presented)
    assert code == 401
    assert not presented or presented not in message


def test_the_hash_of_a_key_is_not_a_key() -> None:
    assert refusal(auth.digest(ADA))[0] == 401


def test_without_a_master_key_no_key_acts_as_it() -> None:
    assert refusal("None", master=None)[0] == 401
    assert refusal("", master="")[0] == 401


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/models"])
def test_a_developer_may_use_the_paths_of_claude_code(path: str) -> None:
    assert auth.decide(ADA, path, KEYS, MASTER).name == "ada"


@pytest.mark.parametrize(
    "path", ["/model/info", "/health", "/anthropic/v1/messages", "/v1/messages/", "/key/generate"]
)
def test_other_paths_are_for_admins(path: str) -> None:
    assert refusal(ADA, path)[0] == 403
    assert auth.decide(OPS, path, KEYS, MASTER).role == "admin"
    assert auth.decide(MASTER, path, KEYS, MASTER).role == "admin"


def test_keys_give_access_to_the_routes_of_the_file_only() -> None:
    keys = ring(
        json.dumps(
            {"version": 2, "routes": ["/anthropic/v1/messages"], "keys": [entry(ADA, "ada")]}
        )
    )
    assert auth.decide(ADA, "/anthropic/v1/messages", keys, MASTER).name == "ada"
    assert auth.decide(ADA, "/v1/messages", keys, MASTER).name == "ada"
    assert refusal(ADA, "/anthropic/v1/files", keys=keys)[0] == 403


def test_without_a_usable_file_only_the_master_key_is_valid() -> None:
    for nothing in (ring(None), ring("{")):
        assert refusal(ADA, keys=nothing)[0] == 503
        assert refusal(None, keys=nothing)[0] == 401
        assert auth.decide(MASTER, "/health", nothing, MASTER).role == "admin"


def test_an_expired_key_is_401_with_the_reason() -> None:
    keys = ring(document(entry(ADA, "ada", expires=at(-1)), entry(LIN, "lin", expires=at(60))))
    assert refusal(ADA, keys=keys) == (
        401,
        "The API key of ada has expired. Ask for another one.",
    )
    assert auth.decide(LIN, "/v1/messages", keys, MASTER).name == "lin"


def test_a_former_key_is_valid_until_it_expires() -> None:
    current = document(entry("sk-new", "ada"))
    keys = ring(current, document(entry(ADA, "ada", expires=at(60))))
    assert auth.decide(ADA, "/v1/messages", keys, MASTER).name == "ada"
    assert refusal(ADA, keys=ring(current, document(entry(ADA, "ada", expires=at(-1)))))[0] == 401


@pytest.mark.parametrize("former", [document(entry(ADA, "ada")), "", "{"])
def test_former_keys_in_a_broken_file_or_without_an_end_are_invalid(former: str) -> None:
    keys = ring(document(entry(LIN, "lin")), former)
    assert refusal(ADA, keys=keys)[0] == 401
    assert auth.decide(LIN, "/v1/messages", keys, MASTER).name == "lin"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[]", "version 2"),
        ('{"version": 1, "keys": []}', "version 2"),
        ('{"version": 2}', "list of keys"),
        ('{"version": 2, "keys": {}}', "list of keys"),
        ('{"version": 2, "keys": [], "extra": 1}', "nothing else"),
        ('{"version": 2, "keys": [], "routes": "/health"}', "routes"),
        ('{"version": 2, "keys": [], "routes": ["health"]}', "routes"),
        (document("x"), "key 1: expected an object"),
        (document(entry(ADA, "ada") | {"sha256": ADA}), "key 1: sha256"),
        (document(entry(ADA, "ada") | {"sha256": auth.digest(ADA).upper()}), "key 1: sha256"),
        (document(entry(ADA, "")), "key 1: name"),
        (document(entry(ADA, "ada", "root")), "key 1 (ada): role"),
        (document(entry(ADA, "ada", ["admin"])), "key 1 (ada): role"),
        (document(entry(ADA, "ada", models=[])), "key 1 (ada): models"),
        (document(entry(ADA, "ada", models=None)), "key 1 (ada): models"),
        (document(entry(ADA, "ada", models="coder")), "key 1 (ada): models"),
        (document(entry(ADA, "ada", group=["team"])), "key 1 (ada): group"),
        (document(entry(ADA, "ada", expires="tomorrow")), "key 1 (ada): expires"),
        (document(entry(ADA, "ada", expires="2027-01-01T00:00:00")), "key 1 (ada): expires"),
        (document(entry(ADA, "ada", expires=1)), "key 1 (ada): expires"),
        (document(entry(ADA, "ada", budget=5)), "unknown field 'budget'"),
        (document(entry(ADA, "ada"), entry(ADA, "lin")), "key 2: the same key again"),
    ],
)
def test_an_unexpected_key_file_is_rejected(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        key_file.parse(text)
    assert message in str(caught.value)


def test_a_change_of_the_file_applies_at_the_next_request(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    file = key_file.KeyFile(path, key_file.parse)
    assert file.keys() is None
    for names in (["ada"], ["ada", "lin"], ["lin"], []):
        replace(path, document(*(entry(name, name) for name in names)))
        assert [key.name for key in file.keys().by_hash.values()] == names
    replace(path, document(entry("ada", "ada"))[:-9])
    assert file.keys() is None
    replace(path, document(entry("ada", "ada")))
    assert [key.name for key in file.keys().by_hash.values()] == ["ada"]
    path.unlink()
    assert file.keys() is None


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(document(entry(ADA, "ada")))
    file = key_file.KeyFile(path, key_file.parse)
    assert file.keys() is file.keys()


def test_an_unreadable_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    path.write_text(document(entry(ADA, "ada")))
    file = key_file.KeyFile(path, key_file.parse)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", unreadable)
        assert file.keys() is None
    assert [key.name for key in file.keys().by_hash.values()] == ["ada"]


def test_a_link_to_the_file_is_followed(tmp_path: Path) -> None:
    old, new, path = tmp_path / "old", tmp_path / "new", tmp_path / "keys.json"
    old.write_text(document(entry(ADA, "ada")))
    new.write_text(document(entry(LIN, "lin")))
    path.symlink_to(old)
    file = key_file.KeyFile(path, key_file.parse)
    assert [key.name for key in file.keys().by_hash.values()] == ["ada"]
    (tmp_path / "link").symlink_to(new)
    (tmp_path / "link").replace(path)
    assert [key.name for key in file.keys().by_hash.values()] == ["lin"]


def test_the_log_reports_a_broken_file_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    path.write_text(document(entry(ADA, "ada", "root")))
    file = key_file.KeyFile(path, key_file.parse)
    assert [file.keys(), file.keys()] == [None, None]
    assert len(caplog.records) == 1
    assert "key 1 (ada): role must be one of" in caplog.text
    assert auth.digest(ADA) not in caplog.text


def test_the_handler_needs_the_directory_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRRORFLEET_KEYS", raising=False)
    monkeypatch.syspath_prepend(str(SOURCE.parent))
    with pytest.raises(KeyError, match="MIRRORFLEET_KEYS"):
        load(SOURCE)


def test_a_thousand_keys_slow_a_request_down_by_less_than_three() -> None:
    def seconds(count: int) -> float:
        keys = ring(document(*(entry(f"sk-{number}", f"dev-{number}") for number in range(count))))
        auth.decide("sk-0", "/v1/messages", keys, MASTER)
        return min(
            timeit.repeat(
                lambda: auth.decide("sk-0", "/v1/messages", keys, MASTER), number=200, repeat=5
            )
        )

    assert seconds(1000) < 3 * seconds(1)
