"""Jump hosts: what paramiko, which pyinfra connects with, makes of the configuration for them."""

from __future__ import annotations

import stat
from pathlib import Path

import paramiko
import pytest

import fleet
from roles.host import jump
from roles.host.ssh import groups

BASTION = Path(__file__).parents[1] / "fleet" / "good" / "bastion.yml"


def looked_up(host: str) -> paramiko.SSHConfig | None:
    spec = fleet.load(BASTION)
    content = jump.configuration(spec, spec.hosts[host])
    return paramiko.SSHConfig.from_text(content) if content else None


def test_a_host_is_reached_through_all_hosts_on_the_way_the_outermost_first() -> None:
    found = looked_up("gpu")
    assert found
    assert found.lookup("10.0.0.3")["proxyjump"] == "outer,inner"


def test_the_hosts_on_the_way_are_not_reached_through_themselves() -> None:
    inner = looked_up("inner")
    assert inner
    assert inner.lookup("10.0.0.2")["proxyjump"] == "outer"
    assert looked_up("outer") is None


def test_a_hop_is_logged_in_to_like_any_host_and_its_key_is_checked() -> None:
    found = looked_up("gpu")
    assert found
    hop = found.lookup("outer")
    assert hop["hostname"] == "bastion.example.com"
    assert (hop["user"], hop["port"]) == ("admin", "2222")
    assert hop["stricthostkeychecking"] == "yes"
    assert hop["userknownhostsfile"] == str(BASTION.parent / "known_hosts")
    assert "proxyjump" not in hop


def test_pyinfra_is_given_the_configuration_where_there_is_a_jump() -> None:
    hosts = dict(groups(BASTION)["hosts"])
    assert "ssh_config_file" not in hosts["outer"]
    path = Path(hosts["gpu"]["ssh_config_file"])
    assert "ProxyJump outer,inner" in path.read_text("utf-8")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("host", "how"), [("outer", "sudo"), ("gpu", "none"), ("gw", "doas")], ids=lambda it: str(it)
)
def test_how_a_login_becomes_root(host: str, how: str) -> None:
    data = dict(groups(BASTION)["hosts"])[host]
    assert {name for name in ("sudo", "doas") if data[f"_{name}"]} == {how} - {"none"}
