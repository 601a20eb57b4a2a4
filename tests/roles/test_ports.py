"""Reserved ports: the users that can listen on them in the real kernel, and their role."""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrorfleet.roles.ports import role as ports
from mirrorfleet.roles.ports.files import reserve_ports
from mirrorfleet.roles.ports.files.reserve_ports import attach, reserved
from mirrorfleet.roles.ports.role import Ports
from mirrorfleet.runtime.reserved import PROGRAM, UNIT, UNIT_PATH
from tests.roles.answers import Answers, bare, converged, observation_of
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.jobs import jobs
from tests.roles.scratch_cgroup import JOIN, scratch_cgroup

SERVICE, OTHER = 997, 65534

# Try to listen on each port as a user; runs in the control group.
LISTEN = """
import os, socket, sys
user, *ports = map(int, sys.argv[1:])
os.setuid(user)
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    for port in ports:
        with socket.socket(family) as listener:
            try:
                listener.bind((address, port))
                print(port, "yes")
            except PermissionError:
                print(port, "no")
"""


@pytest.fixture
def cgroup() -> Iterator[Path]:
    with scratch_cgroup() as place:
        yield place


def listens(cgroup: Path, user: int, *tried: int, inside: tuple[str, ...] = ()) -> set[str]:
    """Return for each port whether a user can listen on it, the same for IPv4 and IPv6."""
    words = [*inside, sys.executable, "-c", LISTEN, str(user), *map(str, tried)]
    done = subprocess.run(
        ["sh", "-c", JOIN, str(cgroup), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(done.stdout.splitlines())


def test_another_user_cannot_listen_on_a_services_port(cgroup: Path) -> None:
    attach({4000: frozenset({SERVICE}), 8000: frozenset({SERVICE, 996})}, cgroup)
    assert listens(cgroup, OTHER, 4000, 8000, 4001) == {"4000 no", "8000 no", "4001 yes"}
    assert listens(cgroup, SERVICE, 4000, 8000) == {"4000 yes", "8000 yes"}
    assert listens(cgroup, 996, 4000, 8000) == {"4000 no", "8000 yes"}
    assert listens(cgroup, 0, 4000, 8000) == {"4000 yes", "8000 yes"}


def test_containers_with_their_own_network_can_use_any_port(cgroup: Path) -> None:
    attach({4000: frozenset({SERVICE})}, cgroup)
    own = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
    assert listens(cgroup, OTHER, 4000, inside=own) == {"4000 yes"}


def test_a_later_run_replaces_or_releases_reserved_ports(cgroup: Path) -> None:
    for port in (4000, 4100, 4200):
        attach({port: frozenset({SERVICE})}, cgroup)
    assert listens(cgroup, OTHER, 4000, 4100, 4200) == {"4000 yes", "4100 yes", "4200 no"}
    attach({}, cgroup)
    assert listens(cgroup, OTHER, 4200) == {"4200 yes"}


def test_many_ports_with_large_user_ids_can_be_reserved(cgroup: Path) -> None:
    user = 2**32 - 3
    attach({port: frozenset({user}) for port in range(5000, 5200)}, cgroup)
    assert listens(cgroup, OTHER, 5000, 5199, 5200) == {"5000 no", "5199 no", "5200 yes"}


def test_the_ports_of_all_generations_are_reserved_for_the_users_of_their_services(
    tmp_path: Path,
) -> None:
    me = pwd.getpwuid(os.getuid())
    for service, generation, port in (
        ("litellm", "new", 4100),
        ("litellm", "old", 4000),
        ("redis", "one", 6379),
    ):
        directory = tmp_path / service / "generations" / generation
        directory.mkdir(parents=True)
        directory.joinpath("environment").write_text(f'KEY="a"\nMIRRORFLEET_PORT={port}\n')
        os.chown(directory, -1, me.pw_gid)
    (tmp_path / "litellm" / "environments" / "x").mkdir(parents=True)
    assert reserved(tmp_path) == dict.fromkeys((4000, 4100, 6379), frozenset({me.pw_uid}))


def test_an_unsupported_kernel_is_reported_and_does_not_fail_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> Path:
        raise OSError("cgroup v2 is not mounted")

    monkeypatch.setattr(reserve_ports, "cgroup_root", none)
    monkeypatch.setattr(reserve_ports, "GENERATIONS", tmp_path)
    monkeypatch.setattr(reserve_ports, "STATE", tmp_path / "run" / "ports")
    reserve_ports.main()
    assert (tmp_path / "run" / "ports").read_text() == ("not reserved: cgroup v2 is not mounted\n")
    assert "not reserved" in capsys.readouterr().out


WRONG: dict[str, tuple[Answers, str]] = {
    "another program": ({("file", PROGRAM): ("f 644 root:root", "0" * 64)}, "differs"),
    "another unit": ({("file", UNIT_PATH): ("f 644 root:root", "0" * 64)}, "differs"),
    "stopped": ({("unit", UNIT): ("inactive", "enabled", "", "no", "")}, "is inactive, enabled"),
}


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("name", WRONG)
def test_a_manual_change_is_reported_and_repaired(plans: Planned, name: str) -> None:
    plan = plans("lab").hosts["gw-1"]
    wrong, what = WRONG[name]
    found = converged(plan) | wrong
    [change] = Ports().changes(plan, observation_of(found))
    assert what in change.what
    assert jobs(mirror({"gw-1": plan}, {"gw-1": found})["gw-1"]) == ["ports"]


@pytest.mark.usefixtures("offline_cache")
def test_ports_of_a_running_fleet_are_reserved_without_restarts(plans: Planned) -> None:
    """An earlier release provisioned the fleet without reserved ports."""
    hosts = {name: plan for name, plan in plans("lab").hosts.items() if name != "dev"}
    found = {name: converged(plan) for name, plan in hosts.items()}
    for answers in found.values():
        for question in (("file", PROGRAM), ("file", UNIT_PATH), ("unit", UNIT)):
            del answers[question]
    done = mirror(hosts, found)
    assert {name: jobs(done[name]) for name in hosts} == {name: ["ports"] for name in hosts}


def test_each_run_has_a_notice_about_an_unsupported_kernel(plans: Planned) -> None:
    plan = plans("lab").hosts["gw-1"]
    state = base64.b64encode(b"not reserved: bpf: Operation not permitted\n").decode()
    [notice] = Ports().notices(
        plan, observation_of(bare(plan) | {("content", ports.STATE): (state,)})
    )
    assert notice.startswith(
        "ports are not reserved: bpf: Operation not permitted. While a service restarts"
    )
    assert list(Ports().notices(plan, observation_of(bare(plan)))) == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    (tmp_path / UNIT).write_text(ports.installed()[UNIT_PATH].replace(PROGRAM, "/dev/null"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / UNIT)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
