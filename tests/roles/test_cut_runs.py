"""Runs that are cut after any write: the next one heals, and the way back is the same bytes."""

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
from tests.roles.test_scopes import OWN, run, tree, undo
from tests.roles.test_scopes import homes as _homes
from tests.roles.test_scopes import plan as _plan
from tests.roles.test_settings_backup import FILES, VALUES, loaded, objects

developers, plan = _homes, _plan

SEAT = user_settings.Assignment("ada")
Home = dict[HomeFact, Found]


def observed(home: Home) -> Observation:
    return assumed({User("ada"): "/home/ada", **home})


def developer(settings: dict[str, Any], state: dict[str, Any]) -> ClientPlan:
    key = Secret("command", "echo sk-key", Path("/"))
    return ClientPlan("ada", "team", "user", ".claude", settings, state, "ada", key)


def furnished(settings: bytes | None, state: bytes | None) -> Home:
    contents = {SEAT.settings: settings, SEAT.state: state}
    return {
        HomeFact("ada", path): Found("644", content)
        for path, content in contents.items()
        if content is not None
    }


def ran(home: Home, wanted: list[HomeFile], writes: int | None = None) -> Home:
    """Return the home after a run, or after so many writes of it."""
    after = dict(home)
    for file in outdated(wanted, observed(home))[:writes]:
        if file.content is None:
            after.pop(file.fact, None)
        else:
            after[file.fact] = Found(file.mode, file.content)
    return after


def install(home: Home, client: ClientPlan, writes: int | None = None) -> Home:
    return ran(home, user_settings.desired_files(client, observed(home)), writes)


def remove(home: Home, writes: int | None = None) -> Home:
    return ran(home, user_settings.restored_files(SEAT, observed(home)), writes)


CLIENTS = st.builds(developer, objects(VALUES), objects(VALUES))
CUT = st.integers(0, 5)


@settings(max_examples=60)
@given(FILES, FILES, st.lists(st.tuples(CLIENTS, CUT), min_size=1, max_size=3), CUT)
def test_however_often_it_was_cut_undo_is_identity(
    theirs: bytes | None, state: bytes | None, runs: list[tuple[ClientPlan, int]], cut: int
) -> None:
    before = home = furnished(theirs, state)
    home = install(home, runs[0][0])
    for client, writes in runs:
        home = install(home, client, writes)
    assert remove(home) == before, "straight after the cut"
    assert remove(remove(home, cut)) == before, "by a removal that is cut itself"
    home = install(home, runs[-1][0])
    assert install(home, runs[-1][0]) == home, "healed"
    assert remove(home) == before


@settings(max_examples=60)
@given(FILES, FILES, st.tuples(CLIENTS, CLIENTS, CLIENTS), CUT, CUT, VALUES)
def test_what_the_developer_writes_between_the_cuts_stays(
    theirs: bytes | None,
    state: bytes | None,
    clients: tuple[ClientPlan, ClientPlan, ClientPlan],
    cut: int,
    another: int,
    value: Any,
) -> None:
    first, second, third = clients
    home = install(install(furnished(theirs, state), first), second, cut)
    if (place := HomeFact("ada", SEAT.settings)) not in home:
        return
    home[place] = Found("644", json.dumps(loaded(home[place].content) | {"mine": value}).encode())
    home = install(home, third, another)
    for healed in (home, install(home, third)):
        after = loaded(remove(healed)[place].content)
        assert json.dumps(after.pop("mine")) == json.dumps(value)
        assert json.dumps(after, sort_keys=True) == json.dumps(loaded(theirs), sort_keys=True)


# The real scripts, on a machine where the n-th program that puts a file in its place stops the run.
CUT_SHORT = """\
echo >>"$ROOT/moves"
[ "$(wc -l <"$ROOT/moves")" -lt {moves} ] || exit 1
exec {program} "$@"
"""


@pytest.mark.parametrize("moves", (1, 4, 7, 11))
def test_the_real_scripts_leave_a_way_back_wherever_they_are_cut(
    machine: Machine, developers: Path, plan: HostPlan, moves: int
) -> None:
    programs = {name: shutil.which(name) for name in ("mv", "ln", "perl")}
    for name, program in programs.items():
        machine.add(name, CUT_SHORT.format(moves=moves, program=program))
    with pytest.raises(AssertionError):
        run(machine, plan)
    for name in programs:
        (machine.programs / name).unlink()
    undo(machine, plan)
    assert tree(developers) == {"linus/.claude/settings.json": OWN}


def test_a_run_that_fails_knows_the_seats_of_before_and_the_new_ones(
    machine: Machine, developers: Path, plan: HostPlan
) -> None:
    listed = machine.at(machine_files.ASSIGNMENT_LIST)
    listed.write_text("eve .claude\n")
    for user in ("eve", "ada"):
        (developers / user).mkdir(exist_ok=True)
    found = machine.look_as_host(*Claude().facts(plan))
    (developers / "ada/.claude").write_text("a file in the way of the directory")
    first = machine_files.interim_list(plan.clients, found)
    told: list[tuple[str, str, str]] = []
    wanted = home_files.desired(plan, found)
    [command] = write(wanted, found, lambda *said: told.append(said), first=first)
    command.read_output(machine.run(command).stdout.splitlines())
    assert [user for _, user, _ in told] == ["ada"]
    assert {"eve .claude", "ada .claude", "ada .claude-lab"} <= {*listed.read_text().splitlines()}
