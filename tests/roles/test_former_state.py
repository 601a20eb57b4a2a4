"""What a machine had before its ring changed: kept and put back by the real scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorfleet.roles.claude import former
from mirrorfleet.roles.claude.machine_files import ASSIGNMENT_LIST, POLICY
from mirrorfleet.roles.claude.settings_backup import merged, owned_by
from mirrorfleet.runtime import applied
from mirrorfleet.runtime.commands import script
from mirrorfleet.runtime.shell import positional, shell
from tests.roles.machine import Machine

LINK = "/usr/local/bin/claude"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("abc", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
OWNED = st.dictionaries(st.sampled_from("abcd"), JSON, min_size=1, max_size=4)


def run(machine: Machine, name: str, *paths: str, stdin: str = "") -> None:
    text = shell(former.FILES / name, former=former.FORMER, list=ASSIGNMENT_LIST)
    done = machine.run(script(positional(*paths) + text, stdin))
    assert (done.returncode, done.stderr) == (0, "")


def put(machine: Machine, path: str, text: str) -> Path:
    file = machine.at(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_files_and_links_come_back_and_new_ones_go(machine: Machine) -> None:
    put(machine, "/opt/mirrorfleet/claude/1/claude", "the former client")
    policy = put(machine, POLICY, "former policy")
    policy.chmod(0o640)
    link = machine.at(LINK)
    link.symlink_to("/opt/mirrorfleet/claude/1/claude")
    listed = put(machine, ASSIGNMENT_LIST, "ada .claude\n")
    new = machine.at("/usr/local/bin/claude-new")
    run(machine, "keep_former.sh", POLICY, LINK, "/usr/local/bin/claude-new", stdin="[]")

    policy.write_text("new policy")
    link.unlink()
    link.symlink_to("/opt/mirrorfleet/claude/2/claude")
    listed.write_text("grace .claude\n")
    new.write_text("new")
    # The second attempt of a run that was cut keeps nothing: its ring was never proved.
    run(machine, "keep_former.sh", POLICY, LINK, stdin="[1]")
    run(machine, "restore_former.sh")

    assert policy.read_text() == "former policy"
    assert policy.stat().st_mode & 0o777 == 0o640
    assert str(link.readlink()) == "/opt/mirrorfleet/claude/1/claude"
    assert not new.exists()
    assert listed.read_text() == "ada .claude\ngrace .claude\n"
    kept = machine.at(former.FORMER)
    assert (kept / "homes.json").read_text() == "[]"
    assert kept.stat().st_mode & 0o777 == 0o700


def test_a_machine_that_has_kept_nothing_reports_it(machine: Machine) -> None:
    text = shell(former.FILES / "restore_former.sh", former=former.FORMER, list=ASSIGNMENT_LIST)
    done = machine.run(script(text))
    assert done.returncode == 1
    assert "keeps its new state" in done.stderr


@given(OWNED, OWNED, OWNED)
def test_a_developers_file_gets_its_former_keys_again(
    own: dict[str, Any], before: dict[str, Any], after: dict[str, Any]
) -> None:
    original = json.dumps(own).encode()
    first, first_backup = merged(original, None, before)
    owned = owned_by(first, first_backup)
    second, second_backup = merged(first, first_backup, after)
    back, _ = merged(second, second_backup, owned)
    assert json.loads(back or b"{}") == json.loads(first or b"{}")


def test_rules_of_permissions_are_added_again_and_not_replaced() -> None:
    own = b'{"permissions": {"allow": ["Bash(ls)"]}}'
    first, backup = merged(own, None, {"permissions": {"allow": ["Read", "Edit"]}})
    assert owned_by(first, backup) == {"permissions": {"allow": ["Read", "Edit"]}}


def test_a_script_records_who_changes_the_host(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = applied.Applied("ada@laptop", "3f1c5f0d6b3a-dirty", "0.2.0")
    monkeypatch.setattr(applied, "applied", lambda: now)
    assert machine.run(script("true")).returncode == 0
    time, *fields = machine.at(applied.RECORD).read_text().rstrip("\n").split("\t")
    assert time.endswith("Z")
    assert fields == ["ada@laptop", "3f1c5f0d6b3a-dirty", "0.2.0"]


def test_the_revision_is_that_of_the_repository(tmp_path: Path) -> None:
    assert applied.revision(tmp_path) == ""
