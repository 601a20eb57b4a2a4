"""Misuse of pyinfra's own command, which pyinfra lets pass or answers with a traceback."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    thread.join()


def one_host(project: Path, port: int) -> Path:
    """Let gw-a be at this port of this machine; return the fleet file."""
    file = project / "inventories/prod.yml"
    text = file.read_text("utf-8").replace(
        "address: 10.0.2.11", f"address: 127.0.0.1, port: {port}"
    )
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize("program", ["mirrorfleet", "pyinfra"])
def test_a_closed_connection_is_one_line(program: str, port: int, project: Path) -> None:
    (project / "deploys").symlink_to(ROOT / "deploys")
    (project / "inventories/prod.known_hosts").touch()
    file = project / "inventories/prod.yml"
    text = file.read_text("utf-8").replace(
        "address: 10.0.2.11", f"address: 127.0.0.1, port: {port}"
    )
    file.write_text(text, "utf-8")
    command = {
        "mirrorfleet": ["status", "inventories/prod.yml"],
        "pyinfra": ["inventories/prod.py", "deploys/status.py"],
    }[program]
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *command, "--limit", "gw-a"],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
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
        [program, name, file, "--json", "--limit", "gw-a"], capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["unreachable"] == {"gw-a": "the host is unreachable"}


def test_ctrl_c_while_hosts_are_connected_is_one_line(project: Path) -> None:
    (project / "inventories/prod.known_hosts").touch()
    program = Path(sys.executable).with_name("mirrorfleet")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file = one_host(project, silent.getsockname()[1])
        with subprocess.Popen(
            [program, "plan", file, "--limit", "gw-a"], stderr=subprocess.PIPE, text=True
        ) as run:
            silent.settimeout(60)
            connection = silent.accept()[0]
            run.send_signal(signal.SIGINT)
            _, errors = run.communicate(timeout=60)
            connection.close()
    assert (run.returncode, errors) == (130, "\nmirrorfleet: interrupted\n")
