"""Jump hosts as paramiko reads them, and privilege escalation on the target."""

from __future__ import annotations

import stat
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


def test_pyinfra_gets_an_ssh_configuration_for_hosts_behind_a_jump_host() -> None:
    hosts = dict(groups(BASTION)["hosts"])
    assert "ssh_config_file" not in hosts["outer"]
    path = Path(hosts["gpu"]["ssh_config_file"])
    assert "ProxyJump outer,inner" in path.read_text("utf-8")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("host", "method"), [("outer", "sudo"), ("gpu", "none"), ("gw", "doas")], ids=lambda it: str(it)
)
def test_a_login_becomes_root_by_its_method(host: str, method: str) -> None:
    data = dict(groups(BASTION)["hosts"])[host]
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
