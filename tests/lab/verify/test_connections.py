"""Connections to hosts: broken in the middle of a run, or through a jump host."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.lab import keys, look, paths
from tests.lab.hosts import BY_NAME, GATEWAY, OPERATOR

# Seconds in which no packet of the host reaches the controller: longer than the timeout of a run,
# which would continue otherwise.
SILENCE = 100
SILENT = f"""
ip route add blackhole {GATEWAY.ip}/32
sleep {SILENCE}
ip route del blackhole {GATEWAY.ip}/32
"""

# While the host checks the new generation, and the run waits for that. (With the brackets, the
# pattern does not match itself.)
WHEN_CHECKED = f"until pgrep -f '[b]in/python check_config.py'; do sleep 0.05; done; {SILENT}"


def test_a_host_without_network_fails_alone_and_the_next_run_repairs_it() -> None:
    config = "/opt/mirrorfleet/litellm/current/config.yaml"
    for gateway in look.GATEWAYS:
        look.run(gateway, f"echo '# by hand' >>{config}")
    look.run("gw-2", f'systemd-run --quiet --collect sh -c "{WHEN_CHECKED}"')
    started = time.monotonic()
    done = look.mirror()
    output = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1, output
    assert "[gw-2] Error" in output
    assert "[gw-1] Error" not in output
    assert "Traceback" not in output
    assert "# by hand" not in look.run("gw-1", f"cat {config}")
    assert look.message("gw-1", look.secret("developers"))[0] == 200

    wait_for("gw-2", started + SILENCE + 60)
    repaired = look.changes(look.mirror("--json"))
    assert {change.split(":")[0] for change in repaired} == {"gw-2"}
    assert "# by hand" not in look.run("gw-2", f"cat {config}")
    assert look.changes(look.mirror("--json")) == []


def wait_for(host: str, deadline: float) -> None:
    line = keys.ssh(host, ["true"], "-o", "ConnectTimeout=2")
    while subprocess.run(line, capture_output=True).returncode:
        if time.monotonic() > deadline:
            pytest.fail(f"{host} is still unreachable")


def test_a_jump_host_in_the_ssh_configuration(tmp_path: Path) -> None:
    """~/.ssh/config connects to `dev` through `gw-1`."""
    hop, dev = BY_NAME["gw-1"].address, BY_NAME["dev"].address
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(
        f"Host {dev}\n"
        f"    ProxyJump {OPERATOR}@{hop}\n"
        f"Host {hop}\n"
        f"    IdentityFile {keys.IDENTITY}\n"
        f"    UserKnownHostsFile {keys.KNOWN_HOSTS}\n"
        f"    StrictHostKeyChecking yes\n"
    )
    with look.journal("dev", "-t", "sshd") as lines:
        done = subprocess.run(
            look.command(
                "-y", "--json", "--limit", "dev", "inventories/lab.py", "deploys/mirror.py"
            ),
            cwd=paths.REPOSITORY,
            env=os.environ | {"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
    assert look.changes(done) == []
    accepted = [line for line in lines if line.startswith("Accepted publickey for")]
    assert f"Accepted publickey for {OPERATOR} from {hop} " in accepted[0]


def test_a_jump_host_in_the_fleet_file(tmp_path: Path) -> None:
    host = "{address: 10.77.0.31}"
    fleet = look.variant(tmp_path, host, host.replace("}", ", jump: gw-1}"))
    with look.journal("dev", "-t", "sshd") as lines:
        done = look.mirror("--json", "--limit", "dev", fleet=fleet)
    assert look.changes(done) == []
    accepted = [line for line in lines if line.startswith("Accepted publickey for")]
    assert f"Accepted publickey for {OPERATOR} from {BY_NAME['gw-1'].address} " in accepted[0]
