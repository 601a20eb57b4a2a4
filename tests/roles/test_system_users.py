"""The system user of a service: created once, also if a package creates it at the same time."""

from __future__ import annotations

import pytest

from mirrorfleet.runtime import packages
from mirrorfleet.runtime.facts import User
from mirrorfleet.runtime.observe import assumed
from tests.roles.machine import Machine

USER = "mirrorfleet-redis"
WITHOUT_HOME_OR_SHELL = "-r -M -d /nonexistent -s /usr/sbin/nologin"


@pytest.fixture
def host(machine: Machine) -> Machine:
    machine.add("useradd", 'echo "$*" >>"$ROOT/useradd.log"\n')
    machine.add("getent", 'grep "^$2:" "$ROOT/etc/$1"\n')
    for name in ("passwd", "group"):
        machine.at(f"/etc/{name}").write_text("root:x:0:0::/root:/bin/sh\n")
    return machine


def created(host: Machine) -> list[str]:
    """Create the user on a host that did not have it at the observation."""
    [command] = packages.create_user(USER, assumed())
    done = host.run(command)
    assert done.returncode == 0, done.stderr
    log = host.root / "useradd.log"
    return log.read_text().splitlines() if log.exists() else []


def test_a_system_user_has_no_home_and_no_shell(host: Machine) -> None:
    assert created(host) == [f"{WITHOUT_HOME_OR_SHELL} {USER}"]


def test_a_user_that_a_package_created_meanwhile_is_kept(host: Machine) -> None:
    host.at("/etc/passwd").write_text(f"{USER}:x:990:990::/:/bin/false\n")
    assert created(host) == []


def test_an_existing_group_of_the_same_name_is_used(host: Machine) -> None:
    host.at("/etc/group").write_text(f"{USER}:x:990:\n")
    assert created(host) == [f"{WITHOUT_HOME_OR_SHELL} -g {USER} {USER}"]


def test_an_existing_user_needs_no_command() -> None:
    assert list(packages.create_user(USER, assumed({User(USER): "/nonexistent"}))) == []
