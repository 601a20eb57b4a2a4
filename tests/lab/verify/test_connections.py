"""Connections to hosts through a jump host."""

import os
import subprocess
from pathlib import Path

from tests.lab import keys, look, paths
from tests.lab.hosts import BY_NAME, OPERATOR


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
    with look.journal("dev", *look.SSHD) as lines:
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
    with look.journal("dev", *look.SSHD) as lines:
        done = look.mirror("--json", "--limit", "dev", fleet=fleet)
    assert look.changes(done) == []
    accepted = [line for line in lines if line.startswith("Accepted publickey for")]
    assert f"Accepted publickey for {OPERATOR} from {BY_NAME['gw-1'].address} " in accepted[0]
