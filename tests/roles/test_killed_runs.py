"""What killed scripts left is found by the next run, and removed. tests/kills kills real ones."""

from __future__ import annotations

from pathlib import Path

from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude.role import Claude
from mirrorfleet.roles.system.facts import Leftovers
from mirrorfleet.roles.system.role import System
from mirrorfleet.runtime.facts.homes import HomeFile, HomeLeftovers
from mirrorfleet.runtime.facts.homes import HomeFileState as Found
from mirrorfleet.runtime.files import write
from mirrorfleet.runtime.paths import STATE
from tests.roles.machine import Machine
from tests.roles.test_scopes import homes as _homes
from tests.roles.test_scopes import plan as _plan
from tests.roles.test_scopes import unexpected

developers, plan = _homes, _plan

KEY = ".claude/mirrorfleet-key"


def test_files_of_killed_scripts_are_removed_by_the_next_run(
    machine: Machine, plan: HostPlan
) -> None:
    for path in ("stage/key", "work/upload", "inbox/0123456789abcdef"):
        machine.at(f"{STATE}/{path}").parent.mkdir(parents=True)
        machine.at(f"{STATE}/{path}").write_text("sk-key")
    assert machine.observe_as_host(Leftovers())[Leftovers()] == frozenset(), "no lock yet"
    machine.at(f"{STATE}/run").mkdir()
    found = machine.observe_as_host(Leftovers())
    assert [change.what for change in System().changes(plan, found)] == [
        f"{STATE}: files of an interrupted run will be removed: inbox/0123456789abcdef, stage, work"
    ]
    [step] = System().apply(plan, found)
    [command] = step.commands(plan, found)
    assert machine.run(command).returncode == 0
    after = machine.observe_as_host(Leftovers())
    assert (after[Leftovers()], list(step.commands(plan, after))) == (frozenset(), [])


def test_files_beside_a_developers_own_are_removed_without_a_change_of_these(
    machine: Machine, developers: Path, plan: HostPlan
) -> None:
    (developers / "ada/.claude").mkdir()
    (developers / "ada" / KEY).write_text("sk-staff_key")
    (developers / "ada" / f"{KEY}.mirrorfleet.x1Y2z3").write_text("sk-staff_key")
    fact, left = HomeFile("ada", KEY), HomeLeftovers("ada", KEY)
    found = machine.observe_as_host(*Claude().facts(plan))
    state = found[fact]
    assert (isinstance(state, Found) and state.content, found[left]) == (b"sk-staff_key", True)
    assert not found[HomeLeftovers("ada", ".claude/settings.json")]
    whats = [change.what for change in Claude().changes(plan, found)]
    assert f"~ada/{KEY}: files of an interrupted run will be removed" in whats
    [command] = write([], found, unexpected)
    assert machine.run(command).returncode == 0
    assert [path.name for path in (developers / "ada/.claude").iterdir()] == ["mirrorfleet-key"]
    after = machine.observe_as_host(*Claude().facts(plan))
    assert list(write([], after, unexpected)) == []


def test_files_beside_a_missing_file_are_found(
    machine: Machine, developers: Path, plan: HostPlan
) -> None:
    (developers / "ada/.claude").mkdir()
    (developers / "ada" / f"{KEY}.mirrorfleet.x1Y2z3").write_text("sk-staff_key")
    found = machine.observe_as_host(*Claude().facts(plan))
    assert (found[HomeFile("ada", KEY)], found[HomeLeftovers("ada", KEY)]) == (None, True)


def test_a_directory_with_the_name_of_such_a_file_is_none_and_stays(
    machine: Machine, developers: Path, plan: HostPlan
) -> None:
    """Otherwise a user could let every run fail."""
    odd = developers / "ada" / f"{KEY}.mirrorfleet.x1Y2z3"
    odd.mkdir(parents=True)
    (developers / "ada" / f"{KEY}.mirrorfleet.z1").write_text("sk-staff_key")
    found = machine.observe_as_host(*Claude().facts(plan))
    assert found[HomeLeftovers("ada", KEY)]
    [command] = write([], found, unexpected)
    assert machine.run(command).returncode == 0
    assert [path.name for path in (developers / "ada/.claude").iterdir()] == [odd.name]
    assert not machine.observe_as_host(*Claude().facts(plan))[HomeLeftovers("ada", KEY)]
