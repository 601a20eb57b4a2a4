"""Machines that are often off: a run goes on without them, says so once, and succeeds."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from paramiko import ChannelException, SSHException
from paramiko.ssh_exception import NoValidConnectionsError

from mirrorfleet.runtime.intermittent import no_reply
from tests.roles.test_inventory_misuse import ROOT, one_host

ADDRESSES = {"dev-1": "10.0.3.21", "dev-2": "10.0.3.22"}


@pytest.fixture(name="silent")
def silent_port() -> Iterator[int]:
    """Yield a port of this machine that answers to nothing, as a machine that sleeps.

    Linux drops connections to a server whose queue is full.
    """
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def fleet_file(project: Path, **addresses: str) -> Path:
    """Write other addresses of hosts into prod.yml, and return it."""
    (project / "inventories/prod.known_hosts").touch()
    if not (project / "deploys").exists():
        (project / "deploys").symlink_to(ROOT / "deploys")
    file = project / "inventories/prod.yml"
    text = file.read_text("utf-8")
    for name, address in addresses.items():
        text = text.replace(f"address: {ADDRESSES[name]}", f"address: {address}")
    file.write_text(text, "utf-8")
    return file


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:]],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def about(done: subprocess.CompletedProcess[str], name: str) -> list[str]:
    """Return the lines of the output that name a host."""
    return [line.strip() for line in (done.stdout + done.stderr).splitlines() if name in line]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["apply --yes", "plan", "status", "verify"])
def test_a_run_succeeds_without_machines_that_are_off(
    command: str, project: Path, silent: int
) -> None:
    fleet_file(project, **{"dev-1": f"127.0.0.1, port: {silent}", "dev-2": "off.invalid"})
    name, *options = command.split()
    done = run(project, "mirrorfleet", name, "inventories/prod.yml", "--limit", "dev-*", *options)
    assert done.returncode == 0, done.stderr
    assert about(done, "dev-1") == ["offline, left for a later run: dev-1 (no reply)"]
    assert about(done, "dev-2") == [
        "offline, left for a later run: dev-2 (its address is not in DNS)"
    ]
    if name == "apply":
        assert "2 hosts: 2 offline, left for a later run." in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [["-y"], ["-y", "--fail-percent", "0"], ["--dry"]], ids=" ".join
)
def test_the_command_of_pyinfra_succeeds_too(options: list[str], project: Path) -> None:
    fleet_file(project, **{"dev-1": "one.invalid", "dev-2": "two.invalid"})
    done = run(
        project,
        *("pyinfra", *options, "--limit", "dev-1", "--limit", "dev-2"),
        *("inventories/prod.py", "deploys/mirror.py"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in about(done, "dev-1") if "Hosts" not in line] == [
        "offline, left for a later run: dev-1, dev-2 (its address is not in DNS)"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("program", ["mirrorfleet", "pyinfra"])
def test_the_exit_code_is_that_of_the_other_hosts(program: str, project: Path) -> None:
    fleet_file(project, **{"dev-1": "one.invalid"})
    file = one_host(project, 1)  # nothing listens there
    limit = ["--limit", "gw-a", "--limit", "dev-1"]
    command = {
        "mirrorfleet": ["status", str(file), "--json", *limit],
        "pyinfra": [*limit, "inventories/prod.py", "deploys/status.py"],
    }[program]
    done = run(project, program, *command)
    assert done.returncode == 1
    assert "port 1 " in done.stderr
    if program == "mirrorfleet":
        report = json.loads(done.stdout)
        assert report["unreachable"] == {"gw-a": "the host is unreachable"}
        assert report["offline"] == {"dev-1": "its address is not in DNS"}


@pytest.mark.slow
def test_a_machine_that_refuses_is_on(project: Path) -> None:
    fleet_file(project, **{"dev-1": "127.0.0.1, port: 1"})
    done = run(project, "mirrorfleet", "plan", "inventories/prod.yml", "--limit", "dev-1")
    assert done.returncode == 1
    assert "dev-1: unreachable: nothing listens on port" in done.stdout


@pytest.mark.slow
def test_a_machine_that_must_be_on_is_unreachable(project: Path) -> None:
    file = fleet_file(project, **{"dev-1": "one.invalid, intermittent: false"})
    done = run(project, "mirrorfleet", "apply", str(file), "--limit", "dev-1", "--yes", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["totals"] == {"unreachable": 1}


@pytest.mark.parametrize(
    ("error", "is_direct", "expected"),
    [
        (TimeoutError("timed out"), True, "no reply"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), True, "no reply"),
        # paramiko's error for all addresses of a name hides their own.
        (
            NoValidConnectionsError({("10.0.0.5", 22): OSError(errno.EHOSTUNREACH, "No route")}),
            True,
            "no reply",
        ),
        (
            NoValidConnectionsError({("10.0.0.5", 22): OSError(errno.ECONNREFUSED, "Refused")}),
            True,
            "",
        ),
        # The controller itself has no network.
        (OSError(errno.ENETUNREACH, "Network is unreachable"), True, ""),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), True, ""),
        (SSHException("Error reading SSH protocol banner"), True, ""),
        # What concerns the jump host says nothing about the machine behind it.
        (TimeoutError("timed out"), False, ""),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), False, ""),
        (ChannelException(2, "Connect failed"), False, "no reply to its jump host"),
        (SSHException("Timeout opening channel."), False, "no reply to its jump host"),
        (ChannelException(1, "Administratively prohibited"), False, ""),
    ],
)
def test_only_silence_means_that_a_machine_is_off(
    error: Exception, is_direct: bool, expected: str
) -> None:
    assert no_reply(error, is_direct=is_direct) == expected
