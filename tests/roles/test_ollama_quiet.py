"""The wait before a restart of Ollama: real connections and ss, a stand-in for llama-server."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mirrorfleet.roles.ollama import models
from mirrorfleet.roles.ollama.files import quiet
from mirrorfleet.runtime.shell import call

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("ss"), reason="needs ss")]

UNIT = "mirrorfleet-ollama.service"


@pytest.fixture
def connection() -> Iterator[tuple[str, socket.socket, socket.socket]]:
    """Yield a port, the client's side of a connection to it, and the server's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname(), timeout=30)
        server.settimeout(30)
        here, _ = server.accept()
        with client, here:
            yield str(server.getsockname()[1]), client, here


@contextmanager
def llama_server(answer: Any) -> Iterator[str]:
    """Serve /slots with this answer, and yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/slots" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield str(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def settle() -> None:
    """Let the kernel's times in milliseconds differ."""
    time.sleep(0.05)


def test_a_turn_is_in_flight_until_its_answer_begins(
    connection: tuple[str, socket.socket, socket.socket],
) -> None:
    port, client, server = connection
    assert quiet.waiting(port, recent=0) == 0, "an open connection is no turn"
    settle()
    client.sendall(b"POST /v1/messages")
    settle()
    assert quiet.waiting(port, recent=0) == 1
    server.sendall(b"HTTP/1.1 200 OK")
    settle()
    assert quiet.waiting(port, recent=0) == 0, "from here on, the slot of llama-server counts"
    assert quiet.waiting(port, recent=60_000) == 1, "without slots, a recent answer counts"
    client.sendall(b"the next turn on the same connection")
    settle()
    assert quiet.waiting(port, recent=0) == 1


def test_a_first_request_is_a_turn_though_it_arrives_with_the_connection() -> None:
    """The kernel's times of receiving and sending are then equal."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=30) as client,
    ):
        server.settimeout(30)
        client.sendall(b"POST /v1/messages")
        here, _ = server.accept()
        with here:
            settle()
            assert quiet.waiting(str(server.getsockname()[1]), recent=0) == 1


def test_a_busy_slot_is_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long tool call sends nothing while it is generated."""
    slots = [{"id": 0, "is_processing": True}, {"id": 1, "is_processing": False}]
    with llama_server(slots) as port:
        monkeypatch.setattr(quiet, "runners", lambda unit: {port})
        assert quiet.slots(UNIT) == (1, True)
        assert quiet.turns("1", UNIT) == 1
    with llama_server({"error": "not enabled"}) as port:
        monkeypatch.setattr(quiet, "runners", lambda unit: {port})
        assert quiet.slots(UNIT) == (0, False)


def test_without_a_llama_server_nothing_reports_slots() -> None:
    assert quiet.slots("no-such.service") == (0, False)


def test_it_waits_for_quiet_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = iter([2, 1, 0, 1, 0, 0])
    monkeypatch.setattr(quiet, "turns", lambda port, unit: next(counts))
    monkeypatch.setattr(quiet, "INTERVAL", 0)
    assert quiet.main("1", UNIT, 60) == 0
    assert not list(counts), "two looks in a row without a turn"
    assert capsys.readouterr().out == f"{UNIT}: waits for 2 turns in flight, at most 60 s\n"


def test_at_the_limit_it_goes_and_says_what_that_cuts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quiet, "turns", lambda port, unit: 1)
    assert quiet.main("1", UNIT, 0) == 0
    assert capsys.readouterr().out == f"{UNIT}: restarts after 0 s, which cuts 1 turn in flight\n"


def test_an_idle_server_is_not_waited_for() -> None:
    """The program as a host runs it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    text = call("python3", "-c", models.quiet(), port, "no-such.service", "60")
    start = time.monotonic()
    done = subprocess.run(
        ["sh", "-c", text], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - start < 30
