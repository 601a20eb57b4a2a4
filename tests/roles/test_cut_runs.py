"""Tests of interrupted runs: the next run repairs the files, and remove restores every byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorfleet.config.reader import Secret
from mirrorfleet.planning import ClientPlan, HostPlan
from mirrorfleet.roles.claude import home_files, machine_files, user_settings
from mirrorfleet.roles.claude.role import Claude
from mirrorfleet.runtime.facts import User
from mirrorfleet.runtime.facts.homes import HomeFile as HomeFact
from mirrorfleet.runtime.facts.homes import HomeFileState as Found
from mirrorfleet.runtime.files import HomeFile, outdated, write
from mirrorfleet.runtime.observe import Observation, assumed
from tests.roles.machine import Machine
from tests.roles.test_scopes import OWN, remove_clients, run, tree
from tests.roles.test_scopes import homes as _homes
from tests.roles.test_scopes import plan as _plan
from tests.roles.test_settings_backup import FILES, VALUES, loaded, objects

developers, plan = _homes, _plan

ASSIGNMENT = user_settings.Assignment("ada")
Home = dict[HomeFact, Found]


def observed(home: Home) -> Observation:
    return assumed({User("ada"): "/home/ada", **home})


def developer(settings: dict[str, Any], state: dict[str, Any]) -> ClientPlan:
    key = Secret("command", "echo sk-key", Path("/"))
    return ClientPlan("ada", "team", "user", ".claude", settings, state, "ada", key, {}, None)


def home_with(settings: bytes | None, state: bytes | None) -> Home:
    contents = {ASSIGNMENT.settings: settings, ASSIGNMENT.state: state}
    return {
        HomeFact("ada", path): Found("644", content)
        for path, content in contents.items()
        if content is not None
    }


def after_run(home: Home, desired: list[HomeFile], writes: int | None = None) -> Home:
    """Return the home after a run, or after its first ``writes`` writes."""
    after = dict(home)
    for file in outdated(desired, observed(home))[:writes]:
        if file.content is None:
            after.pop(file.fact, None)
        else:
            after[file.fact] = Found(file.mode, file.content)
    return after


def install(home: Home, client: ClientPlan, writes: int | None = None) -> Home:
    return after_run(home, user_settings.desired_files(client, observed(home)), writes)


def remove(home: Home, writes: int | None = None) -> Home:
    return after_run(home, user_settings.restored_files(ASSIGNMENT, observed(home)), writes)


CLIENTS = st.builds(developer, objects(VALUES), objects(VALUES))
WRITES = st.integers(0, 5)


@pytest.mark.slow
@settings(max_examples=60)
@given(FILES, FILES, st.lists(st.tuples(CLIENTS, WRITES), min_size=1, max_size=3), WRITES)
def test_undo_restores_every_byte_after_any_number_of_interrupted_runs(
    original: bytes | None,
    state: bytes | None,
    runs: list[tuple[ClientPlan, int]],
    interrupted: int,
) -> None:
    before = home = home_with(original, state)
    home = install(home, runs[0][0])
    for client, writes in runs:
        home = install(home, client, writes)
    assert remove(home) == before, "immediately after the interruption"
    assert remove(remove(home, interrupted)) == before, (
        "also if the removal is interrupted and repeated"
    )
    home = install(home, runs[-1][0])
    assert install(home, runs[-1][0]) == home, "a complete run repairs the home"
    assert remove(home) == before


@pytest.mark.slow
@settings(max_examples=60)
@given(FILES, FILES, st.tuples(CLIENTS, CLIENTS, CLIENTS), WRITES, WRITES, VALUES)
def test_changes_of_the_developer_between_interrupted_runs_stay(
    original: bytes | None,
    state: bytes | None,
    clients: tuple[ClientPlan, ClientPlan, ClientPlan],
    writes: int,
    more_writes: int,
    value: Any,
) -> None:
    first, second, third = clients
    home = install(install(home_with(original, state), first), second, writes)
    if (path := HomeFact("ada", ASSIGNMENT.settings)) not in home:
        return
    home[path] = Found("644", json.dumps(loaded(home[path].content) | {"mine": value}).encode())
    home = install(home, third, more_writes)
    for healed in (home, install(home, third)):
        after = loaded(remove(healed)[path].content)
        assert json.dumps(after.pop("mine")) == json.dumps(value)
        assert json.dumps(after, sort_keys=True) == json.dumps(loaded(original), sort_keys=True)


# A program that moves a file. The run stops at the call with the number {moves}.
INTERRUPT = """\
echo >>"$ROOT/moves"
[ "$(wc -l <"$ROOT/moves")" -lt {moves} ] || exit 1
exec {program} "$@"
"""


@pytest.mark.parametrize("moves", (1, 4, 7, 11))
def test_undo_works_wherever_the_real_scripts_are_interrupted(
    machine: Machine, developers: Path, plan: HostPlan, moves: int
) -> None:
    programs = {name: shutil.which(name) for name in ("mv", "ln", "perl")}
    for name, program in programs.items():
        machine.add(name, INTERRUPT.format(moves=moves, program=program))
    with pytest.raises(AssertionError):
        run(machine, plan)
    for name in programs:
        (machine.programs / name).unlink()
    remove_clients(machine, plan)
    assert tree(developers) == {"linus/.claude/settings.json": OWN}


def test_a_failed_run_lists_the_former_and_the_new_assignments(
    machine: Machine, developers: Path, plan: HostPlan
) -> None:
    listed = machine.at(machine_files.ASSIGNMENT_LIST)
    listed.write_text("eve .claude\n")
    for user in ("eve", "ada"):
        (developers / user).mkdir(exist_ok=True)
    observed_host = machine.observe_as_host(*Claude().facts(plan))
    (developers / "ada/.claude").write_text("a file in the way of the directory")
    first = machine_files.interim_list(plan.clients, observed_host)
    reported: list[tuple[str, str, str]] = []
    desired = home_files.desired(plan, observed_host)
    [command] = write(desired, observed_host, lambda *words: reported.append(words), first=first)
    command.read_output(machine.run(command).stdout.splitlines())
    assert [user for _, user, _ in reported] == ["ada"]
    assert {"eve .claude", "ada .claude", "ada .claude-lab"} <= {*listed.read_text().splitlines()}
