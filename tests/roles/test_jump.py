"""Jump hosts as paramiko reads them, and privilege escalation on the target."""

from __future__ import annotations

import shutil
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import paramiko
import pytest
from pyinfra.api import Host

from mirrorfleet import fleet
from mirrorfleet.runtime import jump
from mirrorfleet.runtime.inventory import groups
from mirrorfleet.runtime.observe import observe

BASTION = Path(__file__).parents[1] / "fleet" / "good" / "bastion.yml"


def configuration_of(host: str) -> paramiko.SSHConfig | None:
    spec = fleet.load(BASTION)
    content = jump.configuration(spec, spec.hosts[host])
    return paramiko.SSHConfig.from_text(content) if content else None


def test_jump_hosts_are_used_from_the_outermost_to_the_innermost() -> None:
    found = configuration_of("gpu")
    assert found
    assert found.lookup("10.0.0.3")["proxyjump"] == "outer,inner"


def test_a_jump_host_is_not_reached_through_itself() -> None:
    inner = configuration_of("inner")
    assert inner
    assert inner.lookup("10.0.0.2")["proxyjump"] == "outer"
    assert configuration_of("outer") is None


def test_a_jump_host_uses_its_own_login_and_its_host_key_is_checked() -> None:
    found = configuration_of("gpu")
    assert found
    hop = found.lookup("outer")
    assert hop["hostname"] == "bastion.example.com"
    assert (hop["user"], hop["port"]) == ("admin", "2222")
    assert hop["stricthostkeychecking"] == "yes"
    assert hop["userknownhostsfile"] == str(BASTION.parent / "known_hosts")
    assert "proxyjump" not in hop


@pytest.fixture
def bastion(tmp_path: Path) -> Path:
    """A copy of the fleet file, with its known_hosts file."""
    (tmp_path / "known_hosts").touch()
    return Path(shutil.copy(BASTION, tmp_path))


def test_a_missing_known_hosts_file_stops_the_run_with_the_commands_to_paste(bastion: Path) -> None:
    (file := bastion.with_name("known_hosts")).unlink()
    with pytest.raises(SystemExit) as caught:
        groups(bastion)
    assert str(caught.value) == (
        f"{bastion}:4: ssh.known_hosts: the file {file} does not exist. "
        f"Run: ssh-keyscan -p 2222 bastion.example.com >>{file} && "
        f"ssh -p 2222 admin@bastion.example.com ssh-keyscan -p 2222 10.0.0.2 >>{file} && "
        f"ssh -J admin@bastion.example.com:2222 -p 2222 admin@10.0.0.2 "
        f"ssh-keyscan -p 2222 10.0.0.3 10.0.0.4 >>{file}; "
        "then compare the fingerprints with the hosts' own."
    )


def test_the_inventory_is_shown_without_known_hosts(
    bastion: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bastion.with_name("known_hosts").unlink()
    monkeypatch.setattr(sys, "argv", ["pyinfra", "prod.py", "debug-inventory"])
    assert len(groups(bastion)["hosts"]) == 4


def test_pyinfra_gets_an_ssh_configuration_for_hosts_behind_a_jump_host(bastion: Path) -> None:
    hosts = dict(groups(bastion)["hosts"])
    assert "ssh_config_file" not in hosts["outer"]
    path = Path(hosts["gpu"]["ssh_config_file"])
    assert "ProxyJump outer,inner" in path.read_text("utf-8")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("host", "method"), [("outer", "sudo"), ("gpu", "none"), ("gw", "doas")], ids=lambda it: str(it)
)
def test_a_login_becomes_root_by_its_method(bastion: Path, host: str, method: str) -> None:
    data = dict(groups(bastion)["hosts"])[host]
    assert {name for name in ("sudo", "doas") if data[f"_{name}"]} == {method} - {"none"}


@pytest.mark.parametrize("method", ["sudo", "doas"])
def test_an_observation_becomes_root_by_the_method_of_the_host(method: str) -> None:
    def run(command: object, **arguments: object) -> tuple[bool, SimpleNamespace]:
        asked.update(arguments)
        return True, SimpleNamespace(stdout_lines=["machine\tdebian\t12\tx86_64\t4\t1024"])

    asked: dict[str, object] = {}
    host = SimpleNamespace(data={f"_{method}": True}, run_shell_command=run)
    observe(cast(Host, host), [])
    assert {name for name in ("sudo", "doas") if asked[f"_{name}"]} == {method}
