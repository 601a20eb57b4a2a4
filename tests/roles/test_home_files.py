"""Files in a developer's home, written by the real script."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mirrorfleet.roles.claude import user_settings
from mirrorfleet.roles.claude.facts import home_facts
from mirrorfleet.runtime import files as files_of_homes
from mirrorfleet.runtime.facts.homes import HomeFile as HomeFact
from mirrorfleet.runtime.facts.homes import HomeFileState as Found
from mirrorfleet.runtime.files import HomeFile, outdated
from mirrorfleet.runtime.observe import Observation, assumed
from tests.roles.machine import Machine
from tests.roles.problems import texts

SETTINGS = HomeFile("ada", ".claude/settings.json", b'{"model": "coder"}\n')


@pytest.fixture
def home(machine: Machine) -> Path:
    home = machine.root / "home" / "ada"
    home.mkdir(parents=True)
    return home


def observe(machine: Machine, *files: HomeFile) -> Observation:
    return machine.observe(*(file.fact for file in files))


def write(
    machine: Machine, files: list[HomeFile], observed: Observation
) -> list[tuple[str, str, str]]:
    """Write the files; return outcome, user and reason of each home that was not written."""
    reported: list[tuple[str, str, str]] = []
    for command in files_of_homes.write(files, observed, lambda *outcome: reported.append(outcome)):
        done = machine.run(command)
        assert (done.returncode, done.stderr) == (0, "")
        command.read_output(done.stdout.splitlines())
    return reported


def put(machine: Machine, *files: HomeFile) -> None:
    assert write(machine, [*files], observe(machine, *files)) == []


def all_files(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir()}


def test_a_file_and_its_folder_are_created_for_their_user_only(
    machine: Machine, home: Path
) -> None:
    put(machine, SETTINGS, HomeFile("ada", ".claude.json", b"{}"))
    assert all_files(home) == {".claude/settings.json", ".claude.json"}
    assert (home / ".claude/settings.json").read_bytes() == SETTINGS.content
    assert stat.S_IMODE((home / ".claude/settings.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / ".claude").stat().st_mode) == 0o700


def test_a_file_gets_its_mode(machine: Machine, home: Path) -> None:
    put(machine, HomeFile("ada", ".claude.json", b"{}", "644"))
    assert stat.S_IMODE((home / ".claude.json").stat().st_mode) == 0o644


def test_a_linked_file_is_followed_and_stays_a_link(machine: Machine, home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / "dotfiles/claude.json").write_text("{}")
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").symlink_to("../dotfiles/claude.json")
    put(machine, SETTINGS)
    assert (home / ".claude/settings.json").is_symlink()
    assert (home / "dotfiles/claude.json").read_bytes() == SETTINGS.content
    assert all_files(home) == {".claude/settings.json", "dotfiles/claude.json"}


def test_a_linked_folder_is_followed(machine: Machine, home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / ".claude").symlink_to("dotfiles")
    put(machine, SETTINGS)
    assert (home / "dotfiles/settings.json").read_bytes() == SETTINGS.content


@pytest.mark.parametrize("link", [".claude", ".claude/settings.json"])
@pytest.mark.parametrize("content", [SETTINGS.content, None])
def test_a_link_out_of_the_home_is_not_followed(
    machine: Machine, home: Path, link: str, content: bytes | None
) -> None:
    away = machine.root / "away" / "settings.json"
    away.parent.mkdir()
    away.write_text("of another user")
    (home / link).parent.mkdir(exist_ok=True)
    (home / link).symlink_to(away if link.endswith("json") else away.parent)
    observed = assumed({SETTINGS.fact: Found("600", b"of another user")})
    [(outcome, user, reason)] = write(machine, [HomeFile("ada", SETTINGS.path, content)], observed)
    assert (outcome, user) == ("skipped", "ada")
    assert "links out of the home" in reason
    assert away.read_text() == "of another user"


def test_a_file_without_content_is_removed(machine: Machine, home: Path) -> None:
    put(machine, SETTINGS)
    gone = HomeFile("ada", SETTINGS.path, None)
    assert write(machine, [gone], observe(machine, SETTINGS)) == []
    assert all_files(home) == set()
    assert outdated([gone], assumed()) == []


def test_a_file_is_replaced_atomically(machine: Machine, home: Path) -> None:
    (home / ".claude").mkdir()
    before = home / ".claude/settings.json"
    before.write_text("a longer text than the one that follows, by another program")
    with before.open() as reader:  # like a client that starts at this moment
        put(machine, SETTINGS)
        assert reader.read().startswith("a longer text")
    assert before.read_bytes() == SETTINGS.content


def test_a_file_that_cannot_be_written_is_an_error(machine: Machine, home: Path) -> None:
    (home / ".claude").write_text("a file in place of the folder")
    [(outcome, user, reason)] = write(machine, [SETTINGS], assumed())
    assert (outcome, user) == ("skipped", "ada")
    assert "File exists" in reason or "Not a directory" in reason


def test_only_files_that_differ_are_written(machine: Machine, home: Path) -> None:
    put(machine, SETTINGS)
    other = HomeFile("ada", ".claude.json", b"{}")
    observed = observe(machine, SETTINGS, other)
    assert outdated([SETTINGS, other], observed) == [other]


def test_a_file_that_changed_after_the_observation_is_not_overwritten(
    machine: Machine, home: Path
) -> None:
    put(machine, SETTINGS)
    observed = observe(machine, SETTINGS)
    (home / SETTINGS.path).write_text('{"model": "by the developer, meanwhile"}')
    for content in (b"{}", None):
        [(outcome, user, reason)] = write(
            machine, [HomeFile("ada", SETTINGS.path, content)], observed
        )
        assert (outcome, user) == ("changed", "ada")
        assert "settings.json has changed meanwhile; run again" in reason
    assert "meanwhile" in (home / SETTINGS.path).read_text()
    assert all_files(home) == {".claude/settings.json"}


def test_an_error_in_one_home_does_not_stop_the_others(machine: Machine, home: Path) -> None:
    (machine.root / "home/grace").mkdir()
    (home / ".claude").write_text("a file in place of the directory")
    other = HomeFile("grace", SETTINGS.path, b"{}")
    [(outcome, user, _)] = write(machine, [SETTINGS, other], assumed())
    assert (outcome, user) == ("skipped", "ada")
    assert (machine.root / "home/grace" / SETTINGS.path).read_bytes() == b"{}"


def test_a_pipe_at_the_temporary_path_does_not_block(machine: Machine, home: Path) -> None:
    os.mkfifo(home / ".claude.json.mirrorfleet")
    put(machine, HomeFile("ada", ".claude.json", b"{}"))
    assert (home / ".claude.json").read_bytes() == b"{}"


def test_a_file_that_its_user_cannot_read_is_not_taken_for_an_empty_one(
    machine: Machine, home: Path
) -> None:
    machine.add("base64", "exit 1")
    (home / ".claude.json").write_text('{"oauthAccount": {}}')
    observed = machine.observe(*home_facts("ada", ".claude"))
    found = observed[HomeFact("ada", ".claude.json")]
    assert found and found.mode == "unreadable"
    assert texts(user_settings.restore_problems(user_settings.Assignment("ada"), observed)) == [
        "~ada/.claude.json cannot be read by ada. Give it back: chown ada, chmod u+rw."
    ]
