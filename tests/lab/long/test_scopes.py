"""All three scopes at once, on two machines with three users; removal restores all files."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import look
from tests.lab.certificates import AUTHORITY

FLEET = f"""\
include: {look.FLEET}
hosts: {{dev-2: {{address: 10.77.0.32}}}}
developers:
  rules:
    seats: {{dev: [grace], dev-2: [linus]}}
    scope: managed
    model: sonnet
    version: 2.1.331
    key: {{file: rules}}
    ca_certificates: &authority {{push: {AUTHORITY}}}
  second:
    seats: {{dev: [ada, grace]}}
    scope: isolated
    command: claude-lab
    model: sonnet
    version: 2.1.331
    key: {{file: second}}
    ca_certificates: *authority
"""

# As users write them: with their own white space, and keys that the fleet sets as well.
OWN = {
    ("dev", "ada", ".claude/settings.json"): '{"theme":"dark",\n\n  "env": {"MINE": "1"}}',
    ("dev", "grace", ".claude/settings.json"): '{ "model": "opus" , "language":"français" }\n\n',
    ("dev", "grace", ".claude.json"): '{"numStartups": 3}',
}


def files() -> dict[str, str]:
    """Return all files of the users and the policy of both machines: owner, mode and digest."""
    command = (
        "find /home/ada /home/grace /home/linus /etc/claude-code -type f -printf '%p %u %m\\n' "
        "-exec sha256sum {} + 2>/dev/null | sort"
    )
    return {host: look.run(host, f"{command}; true") for host in ("dev", "dev-2")}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Path]:
    """Write a fleet file with three groups, on machines where users have their own settings."""
    for name in ("rules", "second"):
        (tmp_path / name).write_text(f"sk-{secrets.token_hex(24)}\n")
    (tmp_path / "scopes.yml").write_text(FLEET)
    (tmp_path / "scopes.py").write_text(look.FLEET.with_suffix(".py").read_text())
    remove(look.FLEET)
    for (host, user, path), content in OWN.items():
        command = f"install -D -o {user} -g {user} -m 640 /dev/stdin /home/{user}/{path}"
        look.run(host, f"install -d -o {user} -g {user} /home/{user}/.claude && {command}", content)
    try:
        yield tmp_path / "scopes.yml"
    finally:
        for host, user, path in OWN:
            look.run(host, f"rm -f /home/{user}/{path}")
        assert look.mirror().returncode == 0


def remove(fleet: Path) -> None:
    done = look.pyinfra("-y", str(fleet.with_suffix(".py")), "deploys/remove_clients.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_three_scopes_on_one_machine_and_their_removal(fleet: Path) -> None:
    before = files()
    done = look.mirror(fleet=fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    assert files() != before
    assert look.changes(look.mirror("--json", fleet=fleet)) == []

    verified = look.pyinfra(
        *(str(fleet.with_suffix(".py")), "deploys/verify.py"),
        *("--data", "who=all", "--data", "report=-"),
    )
    rows = json.loads(verified.stdout)["developers"]
    faults = {f"{row['user']}@{row['host']} {row['scope']}": row["faults"] for row in rows}
    assert sorted(faults) == [
        *("ada@dev isolated", "ada@dev user"),
        *("grace@dev isolated", "grace@dev managed", "linus@dev-2 managed"),
    ]
    assert not any(faults.values()), faults
    assert verified.returncode == 0

    remove(fleet)
    assert files() == before
