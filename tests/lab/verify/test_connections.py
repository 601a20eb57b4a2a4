"""The way to a host: it breaks in the middle of a run, or leads over another host."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.lab import keys, look, paths
from tests.lab.hosts import BY_NAME, GATEWAY, OPERATOR

# Seconds in which nothing that the host sends reaches the controller: longer than a run waits for a
# sign of life, or it would just go on. Nobody can call it off.
SILENCE = 100
SILENT = f"""
ip route add blackhole {GATEWAY.ip}/32
sleep {SILENCE}
ip route del blackhole {GATEWAY.ip}/32
"""

# When the new generation is being checked on the host, for which the run waits. (The brackets keep
# the pattern from finding itself.)
WHEN_CHECKED = f"until pgrep -f '[b]in/python check.py'; do sleep 0.05; done; {SILENT}"


def test_a_host_that_falls_silent_in_a_run_fails_alone_and_the_next_run_heals_it() -> None:
    config = "/opt/mirrorfleet/litellm/current/config.yaml"
    for gateway in look.GATEWAYS:
        look.run(gateway, f"echo '# by hand' >>{config}")
    look.run("gw-2", f'systemd-run --quiet --collect sh -c "{WHEN_CHECKED}"')
    started = time.monotonic()
    done = look.mirror()
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "[gw-2] Error" in look.plain(said)
    assert "[gw-1] Error" not in look.plain(said)
    assert "Traceback" not in said
    assert "# by hand" not in look.run("gw-1", f"cat {config}")
    assert look.message("gw-1", look.secret("developers"))[0] == 200

    wait_for("gw-2", started + SILENCE + 60)
    healed = look.changes(look.mirror("--json"))
    assert {change.split(":")[0] for change in healed} == {"gw-2"}
    assert "# by hand" not in look.run("gw-2", f"cat {config}")
    assert look.changes(look.mirror("--json")) == []


def wait_for(host: str, deadline: float) -> None:
    line = keys.ssh(host, ["true"], "-o", "ConnectTimeout=2")
    while subprocess.run(line, capture_output=True).returncode:
        if time.monotonic() > deadline:
            pytest.fail(f"{host} does not come back")


def test_a_jump_host_of_the_users_ssh_configuration(tmp_path: Path) -> None:
    """`dev` is reached over `gw-1`, as ~/.ssh/config says."""
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


def test_a_jump_host_of_the_fleet_file(tmp_path: Path) -> None:
    there = "{address: 10.77.0.31}"
    fleet = look.variant(tmp_path, there, there.replace("}", ", jump: gw-1}"))
    with look.journal("dev", "-t", "sshd") as lines:
        done = look.mirror("--json", "--limit", "dev", fleet=fleet)
    assert look.changes(done) == []
    accepted = [line for line in lines if line.startswith("Accepted publickey for")]
    assert f"Accepted publickey for {OPERATOR} from {BY_NAME['gw-1'].address} " in accepted[0]
