"""An engine host that cannot be provisioned is skipped; the rest of the fleet changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import look

APT = "/usr/bin/apt-get"
GROUP = "model: sonnet, version: 2.1.331"


@pytest.fixture
def without_apt() -> Iterator[None]:
    look.run("gpu", f"mv {APT} {APT}.away")
    yield
    look.run("gpu", f"[ ! -e {APT}.away ] || mv {APT}.away {APT}")


@pytest.mark.usefixtures("without_apt")
def test_keys_and_settings_change_while_an_engine_host_is_skipped(
    tmp_path: Path,
) -> None:
    before = look.state("gpu")
    running = look.run("gw-1", "readlink /opt/mirrorfleet/litellm/current")
    fleet = look.variant(tmp_path, GROUP, f"settings: {{cleanupPeriodDays: 9}}, {GROUP}")
    with fleet.open("a") as file:
        file.write("\nkeys: {revoked: [lab]}\n")
    done = look.mirror(fleet=fleet)
    output = " ".join(look.plain(done.stdout + done.stderr).split())
    assert done.returncode == 1, output
    assert "[gpu] skipped: the system, debian 12, does not have apt" in output
    assert "tried 1 revoked keys: 1 are rejected" in output
    for gateway in look.GATEWAYS:
        assert look.message(gateway, look.secret("developers"))[0] == 401
    assert '"cleanupPeriodDays": 9' in look.run("dev", "cat /home/ada/.claude/settings.json")
    assert look.run("gw-1", "readlink /opt/mirrorfleet/litellm/current") == running
    assert look.http_status("gpu", 8000, "/v1/models", key=look.secret("engine"))[0] == 200
    assert look.state("gpu") == before

    look.run("gpu", f"mv {APT}.away {APT}")
    assert look.mirror().returncode == 0
    assert look.message("gw-2", look.secret("developers"))[0] == 200
    assert look.changes(look.mirror("--json")) == []


def test_no_server_starts_without_its_firewall() -> None:
    """Neither after a manual flush of the rules, nor if they cannot be loaded."""
    unit = "/run/systemd/system/mirrorfleet-probe.service"
    rules = "/opt/mirrorfleet/firewall/rules.nft"
    look.run("gpu", f"printf '[Service]\nExecStart=/bin/sleep 60\n' >{unit}")
    try:
        look.run("gpu", "systemctl daemon-reload; nft delete table inet mirrorfleet")
        look.run("gpu", "systemctl start mirrorfleet-probe; nft list table inet mirrorfleet")
        look.run("gpu", "systemctl stop mirrorfleet-probe; nft delete table inet mirrorfleet")
        look.run("gpu", f"mv {rules} {rules}.away; ! systemctl start mirrorfleet-probe")
    finally:
        look.run("gpu", f"[ ! -e {rules}.away ] || mv {rules}.away {rules}; rm {unit}")
        look.run("gpu", "systemctl daemon-reload; systemctl restart mirrorfleet-firewall")
    assert look.changes(look.mirror("--json")) == []
