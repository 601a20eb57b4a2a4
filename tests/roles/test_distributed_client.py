"""The real Claude Code reads the files that a fleet distributes, in each scope.

Skipped if the pinned client is not in the cache, and without root: files are at their real places,
in a mount namespace of the test.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet import fleet
from mirrorfleet.planning import ClaudePlan
from mirrorfleet.roles.claude import distributed_files, policy_files
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.user_settings import assignment_of
from tests.roles.fleets import ROOT
from tests.roles.real_client import ask, needed, unpacked
from tests.roles.recorder import Recorder, calls, recorder

pytestmark = [
    needed,
    pytest.mark.client,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root"),
]

# A mount namespace with its own overlay of /etc, and the directory $2 as /opt/mirrorfleet.
MACHINE = """\
set -eu
mount -t tmpfs none "$1"; mkdir "$1/over" "$1/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/over,workdir=$1/work" none /etc
cp -a "$2/etc/claude-code" /etc/
mount -t tmpfs none /opt
cp -a "$2/opt/mirrorfleet" /opt/
shift 2
exec "$@"
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with unpacked(tmp_path_factory.mktemp("client")) as found:
        yield found


@pytest.fixture
def gateway() -> Iterator[Recorder]:
    with recorder() as found:
        yield found


def set_up(place: Path, gateway: Recorder, host: str) -> ClaudePlan:
    """Write the files of a host, and the homes of its users, as a run does."""
    source = ROOT / "tests/fleet/good"
    text = (source / "distributed.yml").read_text()
    text = text.replace("  hosts: [gw]\n", f"  hosts: [gw]\n  url: {gateway.url}\n")
    text = text.replace("/opt/company/bin/gateway-key", "echo sk-of-a-helper")
    shutil.copytree(source / "claude", place / "claude")
    shutil.copy(source / "people.csv", place)
    # The client waits for a server that a name service does not answer about.
    servers = place / "claude/all/.mcp.json"
    address = ("https://tickets.example.com/mcp", "http://127.0.0.1:9/mcp")
    servers.write_text(servers.read_text().replace(*address))
    (place / "fleet.yml").write_text(text)
    plan = fleet.plan(fleet.load(place / "fleet.yml")).hosts[host].clients
    assert plan
    machine = place / "machine"
    for group in plan.files:
        for path, member in distributed_files.members(group).items():
            put(machine / f"{group.path}/{path}"[1:], member.content, int(member.mode, 8))
    (machine / "etc/claude-code").mkdir(parents=True)
    if plan.managed:
        policy = written(plan.managed.settings)
        put(machine / "etc/claude-code/managed-settings.d/50-mirrorfleet.json", policy)
        for rule in policy_files.rules(plan):
            assert rule.content
            put(machine / rule.path[1:], rule.content)
        for name, target in policy_files.links(plan).items():
            link(machine / f"{policy_files.PLACE}/{name}"[1:], target)
    for user in plan.users:
        home, where = place / user.user, assignment_of(user)
        put(home / where.settings, written(user.settings))
        put(home / where.state, written(user.state))
        put(home / where.key, b"sk-x")
        put(home / user.directory / "CLAUDE.md", b"Words of the developer.")
        for name, target in user.links.items():
            link(home / user.directory / name, target)
    return plan


def put(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def session(place: Path, client: Path, user: str, directory: str, prompt: str) -> None:
    (place / "scratch").mkdir(exist_ok=True)
    inside: list[str | Path] = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        MACHINE,
        "sh",
        place / "scratch",
        place / "machine",
    ]
    home = place / user
    isolated = [] if directory == ".claude" else ["env", f"CLAUDE_CONFIG_DIR={home / directory}"]
    assert ask(home, *inside, *isolated, client, prompt=prompt) == "heard"


SCOPES = [
    pytest.param("dev-1", "grace", ".claude", id="user"),
    pytest.param("dev-1", "ada", ".claude-lab", id="isolated"),
    pytest.param("dev-2", "linus", ".claude", id="managed"),
]


@pytest.mark.parametrize(("host", "user", "directory"), SCOPES)
def test_the_client_reads_what_a_fleet_distributes(
    client: Path, gateway: Recorder, tmp_path: Path, host: str, user: str, directory: str
) -> None:
    set_up(tmp_path, gateway, host)
    session(tmp_path, client, user, directory, "Say something.")
    [request] = [each for each in gateway.asked if each.get("tools")]
    sent = json.dumps(request)
    texts = {
        "instructions": "Never push to main.",
        "skill": "Reviews a change by the checklist of this company.",
        "agent": "Runs the checks of this company",
        "the developer's own instructions": "Words of the developer.",
    }
    if host == "dev-1":  # the files of the other group
        texts |= {"command": "Prepares a release.", "style": "Answer in one sentence."}
        texts |= {"plugin": "Lints the change."}
    assert {kind for kind, text in texts.items() if text not in sent} == set()
    assert "mcp__notes__draw" in {tool.get("name") for tool in request["tools"]}


@pytest.mark.parametrize(("host", "user", "directory"), SCOPES)
def test_a_hook_that_a_fleet_distributes_stops_a_tool(
    client: Path, gateway: Recorder, tmp_path: Path, host: str, user: str, directory: str
) -> None:
    set_up(tmp_path, gateway, host)
    gateway.answer = calls("Bash", command="git push", description="Push")
    session(tmp_path, client, user, directory, "Push.")
    assert "Pushes go through the merge queue." in json.dumps(results(gateway))


def results(gateway: Recorder) -> list[Any]:
    return [
        block
        for each in gateway.asked
        for message in each["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block.get("type") == "tool_result"
    ]


def test_a_command_and_a_helper_that_a_fleet_distributes_are_used(
    client: Path, gateway: Recorder, tmp_path: Path
) -> None:
    set_up(tmp_path, gateway, "dev-1")
    session(tmp_path, client, "grace", ".claude", "/ship 1.2")
    assert "Prepare the release 1.2." in json.dumps(gateway.asked)
    gateway.asked.clear()
    other = tmp_path / "other"
    other.mkdir()
    set_up(other, gateway, "dev-2")
    session(other, client, "linus", ".claude", "Say something.")
    assert {each["keys"] for each in gateway.asked} == {("Bearer sk-of-a-helper", "sk-of-a-helper")}
