"""Files for Claude Code on a machine, placed, linked and removed by the real scripts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirrorfleet.planning import ClaudePlan
from mirrorfleet.planning.claude_files import FILES
from mirrorfleet.roles.claude import distributed_files, home_links, policy_files
from mirrorfleet.roles.claude.facts import Assignments, Entries, PolicyEntries
from mirrorfleet.roles.claude.machine_files import ASSIGNMENT_LIST
from mirrorfleet.runtime import files
from mirrorfleet.runtime.commands import script
from mirrorfleet.runtime.facts import User
from mirrorfleet.runtime.files import HomeLink
from mirrorfleet.runtime.observe import Observation
from tests.roles.fleets import good
from tests.roles.machine import Machine
from tests.roles.problems import texts


@pytest.fixture
def plan() -> ClaudePlan:
    clients = good("distributed").hosts["dev-1"].clients
    assert clients
    return clients


def observed(machine: Machine, plan: ClaudePlan | None) -> Observation:
    homes = [
        fact
        for user in ("ada", "grace")
        for fact in (User(user), Entries(user, ".claude"), Entries(user, ".claude-lab"))
    ]
    listed = Assignments(ASSIGNMENT_LIST)
    place = PolicyEntries(policy_files.PLACE)
    return machine.observe_as_host(*distributed_files.facts(plan), *homes, listed, place)


def apply(machine: Machine, plan: ClaudePlan | None) -> list[tuple[str, ...]]:
    """Place the files and links, and remove what is unused; return what was reported of homes."""
    before = observed(machine, plan)
    for command in distributed_files.place(plan, before):
        done = machine.run(command)
        assert (done.returncode, done.stderr) == (0, "")
    reported = link(machine, home_links.outdated(plan, before), before)
    after = observed(machine, plan)
    stay = any(how == "skipped" for how, *_ in reported)
    done = machine.run(script(f"set -e\n{distributed_files.prune(plan, after, stay=stay)}:"))
    assert done.returncode == 0, done.stderr
    return reported


def link(machine: Machine, links: list[HomeLink], before: Observation) -> list[tuple[str, ...]]:
    reported: list[tuple[str, ...]] = []
    for command in files.write([], before, lambda *what: reported.append(what), links=links):
        done = machine.run(command)
        assert (done.returncode, done.stderr) == (0, "")
        command.read_output(done.stdout.splitlines())
    return reported


@pytest.fixture
def homes(machine: Machine) -> dict[str, Path]:
    found = {user: machine.root / "home" / user for user in ("ada", "grace")}
    for home in found.values():
        home.mkdir(parents=True)
    return found


def test_files_are_placed_once_and_homes_link_to_them(
    machine: Machine, homes: dict[str, Path], plan: ClaudePlan
) -> None:
    assert apply(machine, plan) == []
    skill = homes["ada"] / ".claude/skills/review"
    assert str(skill.readlink()) == f"{FILES}/platform/skills/review"
    text = (machine.at(str(skill.readlink())) / "SKILL.md").read_text()
    assert text.startswith("---\nname: review")
    rule = (homes["ada"] / ".claude/rules/mirrorfleet-platform.md").readlink()
    source = plan.files[0].members["CLAUDE.md"]
    assert machine.at(str(rule)).read_text() == source.read_text()
    assert (homes["ada"] / ".claude-lab/commands/ship.md").is_symlink()
    hook = machine.at(f"{FILES}/lab/hooks/guard.sh")
    assert (hook.stat().st_mode & 0o777, hook.with_name("notes.py").stat().st_mode & 0o777) == (
        0o755,
        0o644,
    )
    # Both groups have the same files: one version.
    assert len([*machine.at(f"{FILES}/.versions").iterdir()]) == 1
    now = observed(machine, plan)
    assert [*distributed_files.changes(plan, now), *home_links.changes(plan, now)] == []
    assert [*distributed_files.place(plan, now), *home_links.outdated(plan, now)] == []


def test_a_changed_file_and_a_damaged_version_are_replaced(
    machine: Machine, homes: dict[str, Path], plan: ClaudePlan
) -> None:
    apply(machine, plan)
    machine.at(f"{FILES}/platform/agents/checker.md").write_text("forged")
    now = observed(machine, plan)
    [first, _] = distributed_files.changes(plan, now)
    assert first.what == f"{FILES}/platform: agents/checker.md will be changed"
    apply(machine, plan)
    assert [*distributed_files.changes(plan, observed(machine, plan))] == []
    fewer = [replace(each, members={"CLAUDE.md": each.members["CLAUDE.md"]}) for each in plan.files]
    apply(machine, replace(plan, files=tuple(fewer)))
    assert len([*machine.at(f"{FILES}/.versions").iterdir()]) == 1
    assert [path.name for path in machine.at(f"{FILES}/lab").iterdir()] == ["CLAUDE.md"]


def test_everything_goes_when_the_group_no_longer_has_it(
    machine: Machine, homes: dict[str, Path], plan: ClaudePlan
) -> None:
    own = homes["grace"] / ".claude/agents/mine.md"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    apply(machine, plan)
    without = replace(plan, files=(), users=tuple(replace(u, links={}) for u in plan.users))
    assert apply(machine, without) == []
    assert not machine.at(FILES).exists()
    left = {path.name for path in homes["ada"].rglob("*")}
    assert left == {".claude", ".claude-lab"}
    assert own.read_text() == "mine"


def test_a_developers_own_entry_stays_and_the_others_are_linked(
    machine: Machine, homes: dict[str, Path], plan: ClaudePlan
) -> None:
    own = homes["ada"] / ".claude/skills/review"
    own.mkdir(parents=True)
    # The first run has not looked for entries: the machine had no files.
    assert apply(machine, plan) == [
        ("kept", "ada", "not links of Mirrorfleet, or changed meanwhile: .claude/skills/review")
    ]
    assert not own.is_symlink()
    assert (homes["ada"] / ".claude/agents/checker.md").is_symlink()
    now = observed(machine, plan)
    [problem] = home_links.problems(plan.users[0], now)
    assert (problem.severity, problem.text) == (
        "warning",
        "~ada/.claude has own entries with the names of distributed ones, which stay: "
        "skills/review. Rename them there, or in the fleet.",
    )
    assert home_links.outdated(plan, now) == []


def test_links_of_a_home_that_was_skipped_are_removed_by_a_later_run(
    machine: Machine, homes: dict[str, Path], plan: ClaudePlan
) -> None:
    apply(machine, plan)
    skills, aside = homes["ada"] / ".claude/skills", machine.root / "aside"
    skills.rename(aside)
    skills.symlink_to(aside)
    without = replace(plan, files=(), users=tuple(replace(u, links={}) for u in plan.users))
    assert [how for how, *_ in apply(machine, without)] == ["skipped"]
    assert [*machine.at(FILES).iterdir()] == []
    assert (aside / "review").is_symlink()
    skills.unlink()
    aside.rename(skills)
    assert apply(machine, without) == []
    assert not skills.exists()
    assert not machine.at(FILES).exists()


def test_a_home_full_of_links_does_not_flood_a_run(
    machine: Machine, homes: dict[str, Path], plan: ClaudePlan
) -> None:
    apply(machine, plan)
    rules = homes["ada"] / ".claude/rules"
    for number in range(300):
        (rules / f"{number}{'x' * 200}").symlink_to(f"{machine.at(FILES)}/{'y' * 100}")
    (rules / "long").symlink_to(f"{machine.at(FILES)}/{'y' * 3000}")
    stale = home_links.outdated(plan, observed(machine, plan))
    assert len(stale) == home_links.MOST_STALE
    assert apply(machine, plan) == []
    assert len(home_links.outdated(plan, observed(machine, plan))) == home_links.MOST_STALE


def test_links_are_not_written_out_of_a_home(
    machine: Machine, homes: dict[str, Path], plan: ClaudePlan
) -> None:
    outside = machine.root / "outside"
    outside.mkdir()
    (homes["ada"] / ".claude").mkdir()
    (homes["ada"] / ".claude/skills").symlink_to(outside)
    reported = apply(machine, plan)
    [(how, user, reason)] = reported
    assert (how, user) == ("skipped", "ada")
    assert "/home/ada/.claude/skills links out of the home" in reason
    assert [*outside.iterdir()] == []
    # Grace's home is not affected.
    assert (homes["grace"] / ".claude/skills/review").is_symlink()


def test_names_in_a_home_cannot_imitate_other_facts(
    machine: Machine, homes: dict[str, Path], plan: ClaudePlan
) -> None:
    apply(machine, plan)
    agents = homes["grace"] / ".claude/agents"
    (agents / "a\nuser\teve\t").symlink_to("/opt/mirrorfleet/x")
    (agents / "..x\tb").write_text("")
    found = observed(machine, plan)[Entries("grace", ".claude")]
    assert {path for path in found if path.startswith("agents/")} <= {
        "agents/checker.md",
        "agents/a",
    }


def test_managed_files_are_links_and_rules_are_copies(machine: Machine) -> None:
    clients = good("distributed").hosts["dev-2"].clients
    assert clients
    before = observed(machine, clients)
    assert [rule.path for rule in policy_files.rules(clients)] == [
        "/etc/claude-code/.claude/rules/mirrorfleet-guests.md"
    ]
    done = machine.run(script(policy_files.relink(clients, before)))
    assert done.returncode == 0, done.stderr
    place = machine.at(policy_files.PLACE)
    assert str((place / "skills/review").readlink()) == str(
        machine.at(f"{FILES}/guests/skills/review")
    )
    (place / "agents/mine.md").write_text("of somebody else")
    now = observed(machine, clients)
    assert [*policy_files.changes(clients, now)] == []
    machine.run(script(policy_files.unlink(now)))
    assert [path.name for path in place.rglob("*") if not path.is_dir()] == ["mine.md"]
    other = {"skills/review": ""}
    taken = replace(now, values={**now.values, PolicyEntries(policy_files.PLACE): other})
    assert texts(policy_files.problems(clients, taken)) == [
        "/etc/claude-code/.claude/skills/review exists, but Mirrorfleet did not create it. "
        "Remove it, or rename the one in the fleet."
    ]
