"""The real Claude Code with the settings of each scope, against a recording stand-in of a gateway.

Skipped if the pinned client is not in the cache; a run of mirror.py downloads it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mirrorfleet import fleet
from mirrorfleet.data import proposed
from mirrorfleet.planning import ClaudePlan
from mirrorfleet.roles.claude.installer import installer
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.render import isolated
from mirrorfleet.roles.claude.user_settings import assignment_of
from tests.roles.fleets import ROOT
from tests.roles.real_client import RELEASE, SHELL, ask, needed, unpacked
from tests.roles.recorder import Recorder, recorder

pytestmark = [needed, pytest.mark.client]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with unpacked(tmp_path_factory.mktemp("client")) as found:
        yield found


@pytest.fixture
def gateway() -> Iterator[Recorder]:
    with recorder() as found:
        yield found


@pytest.fixture
def plan(gateway: Recorder, tmp_path: Path) -> ClaudePlan:
    """Return the plan of a host with all three scopes, for the stand-in of a gateway."""
    text = (ROOT / "tests/fleet/good/scopes.yml").read_text()
    text = text.replace("  hosts: [gw]\n", f"  hosts: [gw]\n  url: {gateway.url}\n")
    text = text.replace(proposed("claude"), RELEASE)  # the policy has a newest release, too
    (tmp_path / "fleet.yml").write_text(text)
    clients = fleet.plan(fleet.load(tmp_path / "fleet.yml")).hosts["dev"].clients
    assert clients
    for user in clients.users:
        home = tmp_path / user.user
        where = assignment_of(user)
        (home / where.directory).mkdir(parents=True)
        (home / where.key).write_text(f"sk-{user.group}")
        (home / where.state).write_bytes(written(user.state))
        (home / where.settings).write_bytes(written(user.settings))
    return clients


def recorded_request(gateway: Recorder) -> tuple[str, int, tuple[str, str]]:
    [one] = gateway.asked
    return one["model"], one["max_tokens"], one["keys"]


def keys(group: str) -> tuple[str, str]:
    return f"Bearer sk-{group}", f"sk-{group}"


def test_a_user_authenticates_with_the_key_of_the_group_only(
    client: Path, gateway: Recorder, plan: ClaudePlan, tmp_path: Path
) -> None:
    assert ask(tmp_path / "linus", client) == "heard"
    assert recorded_request(gateway) == ("thinker", 16384, keys("guests"))


def test_an_isolated_client_has_its_own_key(
    client: Path, gateway: Recorder, plan: ClaudePlan, tmp_path: Path
) -> None:
    [its] = plan.isolated
    command = tmp_path / its.command
    command.write_bytes(isolated(its, str(client)))
    command.chmod(0o755)
    assert ask(tmp_path / "ada", command) == "heard"
    assert recorded_request(gateway) == ("thinker", 16384, keys("lab"))


def test_an_installer_sets_up_a_client_of_the_gateway(
    client: Path, gateway: Recorder, plan: ClaudePlan, tmp_path: Path
) -> None:
    home = tmp_path / "remote"
    place = home / f".local/share/mirrorfleet/claude/{RELEASE}/claude"
    place.parent.mkdir(parents=True)
    place.symlink_to(client)  # it is 380 MB
    for user in plan.users:
        if user.scope == "managed":
            continue
        mirrors = plan.isolated if user.scope == "isolated" else ()
        version = None if mirrors else plan.version
        alone = replace(plan, version=version, managed=None, isolated=mirrors, users=(user,))
        script = tmp_path / "install.sh"
        script.write_bytes(installer(alone, {}, f"sk-{user.group}"))
        as_developer = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        done = subprocess.run(
            [*as_developer, "sh", script],
            env=SHELL | {"HOME": str(home)},
            capture_output=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        command = mirrors[0].command if mirrors else "claude"
        gateway.asked.clear()
        assert ask(home, home / ".local/bin" / command) == "heard"
        assert recorded_request(gateway) == ("thinker", 16384, keys(user.group))


# A mount namespace with its own overlay of this machine's /etc.
POLICY = """\
set -eu
mount -t tmpfs none "$1"; mkdir "$1/over" "$1/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/over,workdir=$1/work" none /etc
mkdir -p /etc/claude-code/managed-settings.d
cp "$2" /etc/claude-code/managed-settings.d/50-mirrorfleet.json
shift 2
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_the_policy_of_a_machine_overrides_the_users_settings_and_shell(
    client: Path, gateway: Recorder, plan: ClaudePlan, tmp_path: Path
) -> None:
    assert plan.managed is not None
    (tmp_path / "policy.json").write_bytes(written(plan.managed.settings))
    (tmp_path / "scratch").mkdir()
    (tmp_path / "ada/.claude/settings.json").write_bytes(
        written({"model": "mine", "env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}})
    )
    inside = ["unshare", "--mount", "sh", "-c", POLICY, "sh"]
    assert (
        ask(
            tmp_path / "ada",
            *inside,
            tmp_path / "scratch",
            tmp_path / "policy.json",
            client,
        )
        == "heard"
    )
    assert recorded_request(gateway) == ("thinker", 16384, keys("staff"))


def test_editors_see_a_login(plan: ClaudePlan, client: Path, tmp_path: Path) -> None:
    """The extension of VS Code asks its client for it, and shows its login page without one."""
    user = next(user for user in plan.users if user.scope == "user")
    home = tmp_path / user.user
    done = subprocess.run(
        [client, "auth", "status", "--json"],
        env=SHELL | {"HOME": str(home)},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    status = json.loads(done.stdout)
    assert (status["loggedIn"], status["authMethod"]) == (True, "api_key_helper")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_the_client_computes_costs_by_the_price_of_the_fleet_file(
    client: Path, gateway: Recorder, plan: ClaudePlan, tmp_path: Path
) -> None:
    text = (tmp_path / "fleet.yml").read_text()
    price = "  thinker:\n    price: {input: 2, output: 3}\n"
    (tmp_path / "priced.yml").write_text(text.replace("  thinker:\n", price))
    clients = fleet.plan(fleet.load(tmp_path / "priced.yml")).hosts["dev"].clients
    assert clients
    assert clients.managed
    (tmp_path / "policy.json").write_bytes(written(clients.managed.settings))
    (tmp_path / "scratch").mkdir()
    inside = ["unshare", "--mount", "sh", "-c", POLICY, "sh"]
    places = (tmp_path / "scratch", tmp_path / "policy.json", client)
    answer = json.loads(ask(tmp_path / "ada", *inside, *places, "--output-format", "json"))
    [model] = answer["modelUsage"].values()
    # The stand-in reports one token of the prompt and one of the answer.
    assert answer["total_cost_usd"] == pytest.approx(5e-6)
    assert model["costUSD"] == pytest.approx(5e-6)
    assert model["costBasis"] == "managed"
