"""Files for Claude Code and gateways' MCP servers in one plan."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from mirrorfleet import fleet
from mirrorfleet.config import claude_files
from mirrorfleet.config.problems import FleetError
from mirrorfleet.planning import ClaudePlan

GOOD = Path(__file__).parent / "good"


def planned(place: Path, host: str) -> ClaudePlan:
    text = (GOOD / "distributed.yml").read_text()
    servers = "  mcp_servers: {wiki: {url: https://wiki.example.com/mcp}}\n"
    text = text.replace("  master_key: {env: KEY}\n", f"  master_key: {{env: KEY}}\n{servers}")
    text = text.replace("    scope: managed\n", "    scope: managed\n    mcp_servers: [wiki]\n")
    text = text.replace("/opt/company/bin/gateway-key", 'printf %s "sk-of a helper"')
    shutil.copytree(GOOD / "claude", place / "claude")
    shutil.copy(GOOD / "people.csv", place)
    (place / "fleet.yml").write_text(text)
    found = fleet.plan(fleet.load(place / "fleet.yml")).hosts[host].clients
    assert found
    return found


def test_servers_of_files_and_of_gateways_are_together_and_use_the_key_helper(
    tmp_path: Path,
) -> None:
    [user] = planned(tmp_path, "dev-2").users
    assert {"notes", "tickets", "wiki"} == user.state["mcpServers"].keys()
    helper = user.state["mcpServers"]["wiki"]["headersHelper"]
    done = subprocess.run(
        ["sh", "-c", helper], capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(done.stdout) == {"Authorization": "Bearer sk-of a helper"}


def test_a_group_has_at_most_as_many_entries_as_a_home_gets_links_in_one_command(
    tmp_path: Path,
) -> None:
    (tmp_path / "rules").mkdir()
    for number in range(claude_files.MOST_LINKS + 1):
        (tmp_path / f"rules/{number}.md").write_text("x")
    [mistake] = claude_files.read([tmp_path]).mistakes
    assert (mistake.path, mistake.text) == (
        tmp_path,
        "has 201 skills, agents, commands, rules and output styles; the maximum is 200.",
    )


def mistakes(place: Path, files: str) -> str:
    """Return the mistakes of a personal group with these files beside a managed group."""
    text = (GOOD / "distributed.yml").read_text()
    personal = f"""\
  own: {{hosts: [dev-2], users: [mary], key_helper: /opt/company/bin/gateway-key, files: {files}}}
"""
    # All groups have it, in a file of their own on each host.
    defaults = "  defaults:\n    ca_certificates: {push: company.pem}\n"
    text = text.replace("  defaults:\n", defaults) + personal
    shutil.copytree(GOOD / "claude", place / "claude", dirs_exist_ok=True)
    shutil.copy(GOOD / "people.csv", place)
    (place / "fleet.yml").write_text(text)
    try:
        fleet.load(place / "fleet.yml")
    except FleetError as error:
        return str(error)
    return ""


def test_the_same_files_of_two_groups_on_a_host_do_not_differ(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "claude/all") == ""
    assert "managed settings win on dev-2: hooks" in mistakes(tmp_path, "claude/platform")
