"""Installation and removal of the three scopes on one machine: real scripts and three homes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyinfra.api.command import PyinfraCommand

from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude import home_files, machine_files, removal
from mirrorfleet.roles.claude.client import binary
from mirrorfleet.roles.claude.role import Claude
from mirrorfleet.runtime.files import WriteHomes, install, write
from tests.roles.fleets import good, stand_in
from tests.roles.machine import Machine
from tests.roles.problems import texts

KEYS = ("STAFF_KEY", "GUESTS_KEY", "LAB_KEY", "OUTSIDE_KEY", "KEY", "CLOUD_KEY")
OWN = b'{"theme":"dark",  "permissions": {"allow": ["WebFetch"]}}'


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> HostPlan:
    for name in KEYS:
        monkeypatch.setenv(name, f"sk-{name.lower()}")
    return good("scopes").hosts["dev"]


@pytest.fixture
def homes(machine: Machine) -> Path:
    for user in ("ada", "grace", "linus"):
        (machine.root / "home" / user).mkdir(parents=True)
    (machine.root / "home/linus/.claude").mkdir()
    (machine.root / "home/linus/.claude/settings.json").write_bytes(OWN)
    return machine.root / "home"


def run(machine: Machine, plan: HostPlan) -> int:
    """Write the files of a host as mirror.py does; return the number of commands."""
    observed = machine.observe_as_host(*Claude().facts(plan))
    assert [
        reason for reason in texts(Claude().problems(plan, observed)) if "no /etc" not in reason
    ] == []
    commands = [
        *write(home_files.desired(plan, observed), observed, unexpected),
        *install(
            machine_files.files(plan.clients),
            observed,
            first=machine_files.unlink(plan.clients, observed),
            then=machine_files.relink(plan.clients, observed),
        ),
    ]
    return executed(machine, commands)


def remove_clients(machine: Machine, plan: HostPlan) -> int:
    """Remove the files as remove_clients.py does; return the number of commands."""
    observed = machine.observe_as_host(*removal.ClaudeRemoval().facts(plan))
    assert list(removal.ClaudeRemoval().problems(plan, observed)) == []
    commands = [
        *write(removal.restored_files(plan, observed), observed, unexpected),
        *machine_files.remove_all(plan.clients, observed),
    ]
    return executed(machine, commands)


def unexpected(*outcome: str) -> None:
    raise AssertionError(outcome)


def executed(machine: Machine, commands: list[PyinfraCommand]) -> int:
    for command in commands:
        done = machine.run(command)
        assert done.returncode == 0, done.stderr
        if isinstance(command, WriteHomes):
            command.read_output(done.stdout.splitlines())
    return len(commands)


def tree(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def settings(path: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads(path.read_bytes())
    return content


def test_each_scope_has_its_files_and_touches_no_others(
    machine: Machine, homes: Path, plan: HostPlan
) -> None:
    run(machine, plan)
    assert set(tree(homes)) == {
        "ada/.claude.json",
        "ada/.claude/mirrorfleet-key",
        "ada/.claude/mirrorfleet-receipt.json",
        "ada/.claude-lab/.claude.json",
        "ada/.claude-lab/mirrorfleet-key",
        "ada/.claude-lab/mirrorfleet-receipt.json",
        "ada/.claude-lab/settings.json",
        "grace/.claude.json",
        "grace/.claude/mirrorfleet-key",
        "grace/.claude/mirrorfleet-receipt.json",
        "linus/.claude.json",
        "linus/.claude/mirrorfleet-key",
        "linus/.claude/mirrorfleet-receipt.json",
        "linus/.claude/settings.json",
    }
    assert (homes / "ada/.claude/mirrorfleet-key").read_text() == "sk-staff_key"
    assert (homes / "ada/.claude-lab/mirrorfleet-key").read_text() == "sk-lab_key"
    policy = machine.at(machine_files.POLICY)
    assert policy.stat().st_mode & 0o777 == 0o644
    assert settings(policy)["permissions"] == {
        "deny": ["Read(.env)"],
        "defaultMode": "plan",
        "disableBypassPermissionsMode": "disable",
    }
    assert [path.name for path in policy.parent.iterdir()] == [policy.name]
    own = settings(homes / "linus/.claude/settings.json")
    assert own["permissions"] == {"allow": ["WebFetch", "Bash(make:*)"]}
    assert own["theme"] == "dark"


def test_a_second_run_changes_nothing(machine: Machine, homes: Path, plan: HostPlan) -> None:
    assert run(machine, plan) == 2
    before = tree(machine.root)
    machine.at(binary("2.1.331")).parent.mkdir(parents=True)
    assert run(machine, plan) == 0
    assert tree(machine.root) == before


def test_a_removal_restores_every_file(machine: Machine, homes: Path, plan: HostPlan) -> None:
    before = tree(machine.root)
    run(machine, plan)
    assert remove_clients(machine, plan) == 2
    after = tree(machine.root)
    assert {name for name in after if name.startswith("home/")} == {
        "home/linus/.claude/settings.json"
    }
    assert after["home/linus/.claude/settings.json"] == OWN
    assert {
        name: value for name, value in after.items() if not name.endswith(("/lock", "/applied"))
    } == before
    assert not machine.at("/etc/claude-code").exists()
    assert list(machine.at("/usr/local/bin").iterdir()) == []
    assert remove_clients(machine, plan) == 0


def test_the_next_run_removes_a_group_that_is_no_longer_in_the_fleet_file(
    machine: Machine, homes: Path, plan: HostPlan
) -> None:
    run(machine, plan)
    without_developers = good("scopes").hosts["gw"]
    assert without_developers.clients is None
    assert run(machine, without_developers) == 2
    assert set(tree(homes)) == {"linus/.claude/settings.json"}
    assert (homes / "linus/.claude/settings.json").read_bytes() == OWN
    assert not machine.at(machine_files.POLICY).exists()
    assert list(machine.at("/usr/local/bin").iterdir()) == []
    assert run(machine, without_developers) == 0


def test_a_missing_login_does_not_stop_the_removal(
    machine: Machine, homes: Path, plan: HostPlan
) -> None:
    run(machine, plan)
    for path in sorted((homes / "grace").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (homes / "grace").rmdir()
    run(machine, good("scopes").hosts["gw"])
    assert set(tree(homes)) == {"linus/.claude/settings.json"}


# Record what a client reads that starts at this moment.
READ_FIRST = """\
for file in "$ROOT"/etc/claude-code/managed-settings.json "$ROOT"/etc/claude-code/*.d/*.json; do
    [ ! -e "$file" ] || {{ cat "$file"; printf '\\0'; }} >>"$ROOT/read"
done
exec {program} "$@"
"""


def test_the_policy_is_replaced_atomically(machine: Machine, homes: Path, plan: HostPlan) -> None:
    run(machine, plan)
    right, other = machine.at(machine_files.POLICY).read_text(), '{"model": "of an administrator"}'
    machine.at(machine_files.POLICY).write_text(other)
    for program in ("install", "mv", "rm", "ln"):
        real = shutil.which(program) or pytest.fail(f"no {program}")
        machine.add(program, READ_FIRST.format(program=real))
    run(machine, plan)
    assert {*(machine.root / "read").read_text().split("\0")} == {other, right, ""}


@pytest.fixture
def command(machine: Machine, homes: Path, plan: HostPlan) -> Iterator[str]:
    """Yield the isolated client's command; its client prints variables and arguments."""
    run(machine, plan)
    client = machine.at(binary("2.1.331"))
    client.parent.mkdir(parents=True)
    stand_in(client, 'env | grep -E "^(CLAUDE|ANTHROPIC)" | sort; printf "%s\\n" "$@"')
    script = machine.at("/opt/mirrorfleet/claude/commands/claude-lab")
    text = script.read_text().replace("/opt/mirrorfleet", str(machine.at("/opt/mirrorfleet")))
    script.write_text(text)
    yield str(script)


def started(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "ANTHROPIC_API_KEY": "sk-of-the-vendor",
        "ANTHROPIC_MODEL": "opus",
    }
    return subprocess.run(
        [command, "-p", "two words"], env=environment, capture_output=True, text=True, timeout=120
    )


def test_an_isolated_client_has_its_own_directory_and_no_keys_of_the_shell(
    command: str, homes: Path
) -> None:
    done = started(command, homes / "ada")
    assert done.stdout.splitlines() == [
        f"CLAUDE_CONFIG_DIR={homes}/ada/.claude-lab",
        "-p",
        "two words",
    ]


def test_an_isolated_client_rejects_users_of_other_groups(command: str, homes: Path) -> None:
    done = started(command, homes / "grace")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "claude-lab: this command is for members of the group lab only\n"
