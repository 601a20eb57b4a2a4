"""The system user of a service: created once, whatever a package has created meanwhile."""

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
    """Create the user on a host that did not have it when it was read."""
    [command] = packages.create_user(USER, assumed())
    done = host.run(command)
    assert done.returncode == 0, done.stderr
    log = host.root / "useradd.log"
    return log.read_text().splitlines() if log.exists() else []


def test_it_has_no_home_and_no_shell(host: Machine) -> None:
    assert created(host) == [f"{WITHOUT_HOME_OR_SHELL} {USER}"]


def test_a_user_that_a_package_created_meanwhile_stays(host: Machine) -> None:
    host.at("/etc/passwd").write_text(f"{USER}:x:990:990::/:/bin/false\n")
    assert created(host) == []


def test_a_group_of_its_name_becomes_its_own(host: Machine) -> None:
    host.at("/etc/group").write_text(f"{USER}:x:990:\n")
    assert created(host) == [f"{WITHOUT_HOME_OR_SHELL} -g {USER} {USER}"]


def test_a_user_that_was_there_needs_no_command() -> None:
    assert list(packages.create_user(USER, assumed({User(USER): "/nonexistent"}))) == []
