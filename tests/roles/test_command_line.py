"""Tests of the pyinfra command: inventories, and fleet files with mistakes."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.roles.fleets import ROOT, SECRETS

pytestmark = pytest.mark.slow  # each starts pyinfra, which takes a second

PYINFRA = Path(sys.executable).with_name("pyinfra")

FLEET = """\
version: 1
name: local
ssh: {{user: deploy, port: {port}, known_hosts: known_hosts}}
hosts: {{gw: {{address: 127.0.0.1}}}}
models:
  cloud: {{provider: anthropic, id: claude-sonnet-5-5, api_key: {{env: CLOUD_KEY}}}}
gateway:
  hosts: [gw]
  version: 1.106.12
  workers: 2
  master_key: {{env: MASTER_KEY}}
aliases: {{sonnet: cloud}}
"""

MISTAKES = {
    "version: 1\n": "version: 2\n",
    "gateway:\n": "gatway: {}\ngateway:\n",
    "1.106.12": '"newest"',
    "workers: 2": "workers: many",
    "{env: MASTER_KEY}": "sk-oops-this-is-the-secret-itself",
}


def pyinfra(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run pyinfra in the project, without a terminal."""
    return subprocess.run(
        [PYINFRA, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


class Listener:
    """A TCP port of this machine that counts connections and closes each one."""

    def __init__(self) -> None:
        self.connections = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.server.close()


def inventory(directory: Path, text: str) -> Path:
    """Write a fleet file and its inventory module, a copy of lab.py."""
    (directory / "five.yml").write_text(text)
    (directory / "known_hosts").touch()
    return Path(shutil.copy(ROOT / "inventories/lab.py", directory / "five.py"))


def test_five_mistakes_in_a_fleet_file_give_five_messages_and_no_connection(
    tmp_path: Path, listener: Listener
) -> None:
    text = FLEET.format(port=listener.port)
    for correct, wrong in MISTAKES.items():
        assert text.count(correct) == 1
        text = text.replace(correct, wrong)
    result = pyinfra("-y", inventory(tmp_path, text), "deploys/mirror.py")
    output = result.stdout + result.stderr
    messages = [line for line in output.splitlines() if "five.yml:" in line]
    assert len(messages) == 5, output
    keys = {re.sub(r".*five\.yml:\d+: ([\w.]+): .*", r"\1", line) for line in messages}
    assert keys == {"version", "gatway", "gateway.version", "gateway.workers", "gateway.master_key"}
    assert result.returncode == 1
    assert "Traceback" not in output
    assert "sk-oops" not in output
    assert listener.connections == 0


def test_the_same_fleet_without_mistakes_connects(tmp_path: Path, listener: Listener) -> None:
    pyinfra("-y", inventory(tmp_path, FLEET.format(port=listener.port)), "deploys/mirror.py")
    assert listener.connections > 0


def test_a_label_limits_a_run_to_its_hosts(tmp_path: Path, listener: Listener) -> None:
    text = FLEET.format(port=listener.port).replace(
        "hosts: {gw: {address: 127.0.0.1}}",
        "hosts: {gw: {address: 127.0.0.1}, far: {address: 127.0.0.2, labels: [spare]}}",
    )
    path = inventory(tmp_path, text)
    result = pyinfra("--limit", "spare", "-y", path, "deploys/mirror.py")
    assert listener.connections == 0, result.stdout + result.stderr
    assert "far" in result.stdout + result.stderr
    assert "[gw]" not in result.stdout + result.stderr


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("fleet", ["lab", "prod"])
def test_debug_inventory_shows_no_secret(
    project: Path, fleet: str, options: tuple[str, ...]
) -> None:
    result = pyinfra(*options, project / "inventories" / f"{fleet}.py", "debug-inventory")
    assert result.returncode == 0, result.stderr
    output = result.stdout + result.stderr
    assert "Traceback" not in output
    assert [name for name, value in SECRETS.items() if value in output] == []
    assert "LITELLM_MASTER_KEY" in output if fleet == "prod" else ".lab/secrets/master" in output
    if options:
        json.loads(result.stdout)


def test_an_inventory_of_release_0_1_works_and_reports_the_new_import(project: Path) -> None:
    module = project / "inventories" / "lab.py"
    new = "from mirrorfleet.runtime.inventory import groups"
    text = module.read_text("utf-8")
    assert new in text
    module.write_text(text.replace(new, "from roles.host.ssh import groups"), "utf-8")
    result = pyinfra(module, "debug-inventory")
    assert result.returncode == 0, result.stderr
    assert f"Replace the import: {new}" in result.stderr
