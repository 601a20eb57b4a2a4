"""Misuse of pyinfra's own command, which pyinfra lets pass or answers with a traceback."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.waiting import limited

pytestmark = pytest.mark.slow  # each starts pyinfra, which takes a second

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--limit", "dev-11", "inventories/prod.py", "deploys/status.py"],
            2,
            "error: no host matches --limit dev-11. Did you mean 'dev-1'?",
        ),
        (
            ["inventories/prod.py", "deploys/mirror.py"],
            2,
            "error: pyinfra asks before it changes hosts, which needs a terminal: add -y, or --dry",
        ),
        (["inventories/prod.py", "debug-inventory"], 0, ""),
    ],
)
def test_misuse_ends_before_any_connection(
    arguments: list[str], code: int, message: str, project: Path
) -> None:
    (project / "deploys").symlink_to(ROOT / "deploys")
    (project / "inventories/prod.known_hosts").touch()
    done = subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), *arguments],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert errors == ([message] if message else [])
    assert "Traceback" not in done.stderr


@pytest.fixture(name="port")
def closing_server() -> Iterator[int]:
    """Yield the port of a server that closes connections at once, as an sshd with too many does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def close() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:  # the test has ended
                    return

        thread = threading.Thread(target=close, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(30)


def one_host(project: Path, port: int) -> Path:
    """Let gw-a be at this port of this machine; return the fleet file."""
    file = project / "inventories/prod.yml"
    text = file.read_text("utf-8").replace(
        "address: 10.0.2.11", f"address: 127.0.0.1, port: {port}"
    )
    file.write_text(text, "utf-8")
    return file


COMMANDS = {
    "mirrorfleet": ("mirrorfleet", "status", "inventories/prod.yml", "--limit", "gw-a"),
    "pyinfra": ("pyinfra", "inventories/prod.py", "deploys/status.py", "--limit", "gw-a"),
}


def contacted(project: Path, name: str, port: int) -> Sequence[str | Path]:
    """Return the command that asks gw-a, at a port of this machine, for its status."""
    (project / "deploys").symlink_to(ROOT / "deploys")
    (project / "inventories/prod.known_hosts").touch()
    one_host(project, port)
    program, *words = COMMANDS[name]
    return [Path(sys.executable).with_name(program), *words]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_closed_connection_is_one_line(name: str, port: int, project: Path) -> None:
    done = subprocess.run(
        contacted(project, name, port),
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.count("Error reading SSH protocol banner") == 1, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["status", "verify"])
def test_a_report_for_programs_lists_unreachable_hosts(name: str, port: int, project: Path) -> None:
    (project / "inventories/prod.known_hosts").touch()
    file = one_host(project, port)
    program = Path(sys.executable).with_name("mirrorfleet")
    done = subprocess.run(
        [program, name, file, "--json", "--limit", "gw-a"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["unreachable"] == {"gw-a": "the host is unreachable"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mirrorfleet", "mirrorfleet: interrupted"),
        ("pyinfra", "interrupted: run again to continue"),
    ],
)
def test_ctrl_c_while_hosts_are_connected_is_one_line(
    name: str, message: str, project: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        command = contacted(project, name, silent.getsockname()[1])
        with limited(
            subprocess.Popen(
                # The shell of a run in the background ignores the signal, and so do its children.
                ["env", "--default-signal=INT", *command],
                cwd=project,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            ),
            seconds=120,
        ) as run:
            connection = silent.accept()[0]
            run.send_signal(signal.SIGINT)
            _, errors = run.communicate(timeout=60)
            connection.close()
    assert run.returncode == 130
    assert errors.splitlines().count(message) == 1, errors
    assert "Traceback" not in errors
