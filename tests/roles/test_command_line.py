"""pyinfra itself, as a person starts it: inventories, and fleets with mistakes."""

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

PYINFRA = Path(sys.executable).with_name("pyinfra")

FLEET = """\
version: 1
name: local
ssh: {{user: nobody, port: {port}, known_hosts: known_hosts}}
hosts: {{gw: {{address: 127.0.0.1}}}}
models:
  cloud: {{provider: anthropic, id: claude-sonnet-5-5, api_key: {{env: CLOUD_KEY}}}}
gateway:
  hosts: [gw]
  version: 1.106.2
  workers: 2
  master_key: {{env: MASTER_KEY}}
aliases: {{sonnet: cloud}}
"""

MISTAKES = {
    "version: 1\n": "version: 2\n",
    "gateway:\n": "gatway: {}\ngateway:\n",
    "1.106.2": '"newest"',
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


class Door:
    """A TCP port of this machine that counts who knocks, and lets nobody in."""

    def __init__(self) -> None:
        self.knocks = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.knocks += 1
            connection.close()


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.server.close()


def inventory(directory: Path, text: str) -> Path:
    """Write a fleet file with the face that lab.py has."""
    (directory / "five.yml").write_text(text)
    (directory / "known_hosts").touch()
    return Path(shutil.copy(ROOT / "inventories/lab.py", directory / "five.py"))


def test_a_fleet_with_five_mistakes_gives_five_messages_and_connects_to_nothing(
    tmp_path: Path, door: Door
) -> None:
    text = FLEET.format(port=door.port)
    for right, wrong in MISTAKES.items():
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    done = pyinfra("-y", inventory(tmp_path, text), "deploys/mirror.py")
    said = done.stdout + done.stderr
    messages = [line for line in said.splitlines() if "five.yml:" in line]
    assert len(messages) == 5, said
    keys = {re.sub(r".*five\.yml:\d+: ([\w.]+): .*", r"\1", line) for line in messages}
    assert keys == {"version", "gatway", "gateway.version", "gateway.workers", "gateway.master_key"}
    assert done.returncode == 1
    assert "Traceback" not in said
    assert "sk-oops" not in said
    assert door.knocks == 0


def test_the_same_fleet_without_the_mistakes_does_connect(tmp_path: Path, door: Door) -> None:
    pyinfra("-y", inventory(tmp_path, FLEET.format(port=door.port)), "deploys/mirror.py")
    assert door.knocks > 0


def test_a_label_limits_a_run_to_its_hosts(tmp_path: Path, door: Door) -> None:
    text = FLEET.format(port=door.port).replace(
        "hosts: {gw: {address: 127.0.0.1}}",
        "hosts: {gw: {address: 127.0.0.1}, far: {address: 127.0.0.2, labels: [spare]}}",
    )
    path = inventory(tmp_path, text)
    done = pyinfra("--limit", "spare", "-y", path, "deploys/mirror.py")
    assert door.knocks == 0, done.stdout + done.stderr
    assert "far" in done.stdout + done.stderr
    assert "[gw]" not in done.stdout + done.stderr


@pytest.mark.parametrize("how", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("fleet", ["lab", "prod"])
def test_an_inventory_is_shown_without_a_secret(
    house: Path, fleet: str, how: tuple[str, ...]
) -> None:
    done = pyinfra(*how, house / "inventories" / f"{fleet}.py", "debug-inventory")
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert [name for name, value in SECRETS.items() if value in said] == []
    assert "LITELLM_MASTER_KEY" in said if fleet == "prod" else ".lab/secrets/master" in said
    if how:
        json.loads(done.stdout)


def test_an_inventory_of_the_first_release_works_and_says_what_to_write(house: Path) -> None:
    module = house / "inventories" / "lab.py"
    new = "from mirrorfleet.runtime.inventory import groups"
    text = module.read_text("utf-8")
    assert new in text
    module.write_text(text.replace(new, "from roles.host.ssh import groups"), "utf-8")
    done = pyinfra(module, "debug-inventory")
    assert done.returncode == 0, done.stderr
    assert f"Replace the import: {new}" in done.stderr
