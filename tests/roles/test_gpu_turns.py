"""Engines on one GPU start one after the other: gpu_turns.py, run as systemd runs it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mirrorfleet import fleet
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.vllm import command_line, render
from tests.roles import systemd
from tests.waiting import until

pytestmark = pytest.mark.slow

GOOD = Path(__file__).parents[1] / "fleet" / "good"
PROGRAM = render.HERE / "files" / "gpu_turns.py"

ENGINE = """
import os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

name, log, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
def note(what):
    with open(log, "a") as file:
        file.write(f"{name} {what}\\n")
note("starts")
while not os.path.exists(f"{log}.{name}"):
    time.sleep(0.05)
if port == 0:
    note("dies")
    sys.exit(1)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
server = HTTPServer(("127.0.0.1", port), Handler)
note("serves")
server.serve_forever()
"""
"""A stand-in for an engine: it starts until a file exists, then it serves or dies (port 0)."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Card:
    """A host with engines on its GPUs; ``log`` has what they did, in order."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.stack = ExitStack()

    @property
    def log(self) -> list[str]:
        path = self.directory / "log"
        return path.read_text().splitlines() if path.exists() else []

    def start(
        self, name: str, gpus: str, port: int, *, at_once: bool = True
    ) -> subprocess.Popen[bytes]:
        """Start an engine as its unit does; unless ``at_once``, it serves after ``let_serve``."""
        if at_once:
            self.let_serve(name)
        health = f"http://127.0.0.1:{port or free_port()}/health"
        engine = [sys.executable, "-I", "-c", ENGINE, name, str(self.directory / "log")]
        output = self.stack.enter_context((self.directory / f"output.{name}").open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-I", str(PROGRAM), health, gpus, *engine, str(port)],
            env={**os.environ, "RUNTIME_DIRECTORY": str(self.directory)},
            stdout=output,
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def let_serve(self, name: str) -> None:
        (self.directory / f"log.{name}").touch()

    def wait(self, line: str) -> None:
        """Wait until the log has a line."""
        until(lambda: line in self.log, line)

    def wait_for_its_turn(self, name: str) -> None:
        """Wait until an engine waits for another one on GPU 0."""
        output = self.directory / f"output.{name}"
        message = "another engine on GPU 0 is starting: waiting for it\n"
        until(lambda: output.read_text() == message, f"{name} waits for its turn")


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Card]:
    found = Card(tmp_path)
    with found.stack:
        yield found


def test_an_engine_waits_until_the_one_before_it_serves(card: Card) -> None:
    card.start("first", "0", free_port(), at_once=False)
    card.wait("first starts")
    card.start("second", "1,0", free_port())
    card.wait_for_its_turn("second")
    card.let_serve("first")
    card.wait("second serves")
    assert card.log == ["first starts", "first serves", "second starts", "second serves"]


def test_an_engine_that_dies_at_its_start_holds_up_no_other(card: Card) -> None:
    card.start("first", "0", 0, at_once=False)
    card.wait("first starts")
    card.start("second", "0", free_port())
    card.wait_for_its_turn("second")
    card.let_serve("first")
    card.wait("second serves")
    assert card.log == ["first starts", "first dies", "second starts", "second serves"]


def test_engines_on_other_gpus_start_at_once(card: Card) -> None:
    card.start("first", "0", free_port(), at_once=False)
    card.wait("first starts")
    card.start("second", "1", free_port())
    card.wait("second serves")
    assert "first serves" not in card.log


def test_the_process_becomes_the_engine(card: Card) -> None:
    """systemd follows this process, and its environment names the generation that runs."""
    process = card.start("first", "0", free_port())
    card.wait("first serves")
    command = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    assert b"first" in command
    assert str(PROGRAM).encode() not in command


def engines() -> dict[str, VllmPlan]:
    hosts = fleet.plan(fleet.load(GOOD / "shared-gpus.yml")).hosts
    return {each.model: each for host in hosts.values() for each in host.engines_of(VllmPlan)}


def test_only_engines_that_share_a_gpu_take_turns() -> None:
    found = engines()
    assert {name: each.shares_gpus_with for name, each in found.items()} == {
        "coder": ("small",),
        "small": ("coder",),
        "whole": (),
        "slice": (),
    }
    service = render.service(found["small"], "/env", "/weights", None)
    words = systemd.arguments(service.unit, {})
    directory = "/opt/mirrorfleet/vllm-small/current"
    assert words[:7] == [
        *("/env/bin/python", "-I", f"{directory}/gpu_turns.py"),
        *("http://10.0.0.1:8001/health", "1", "/env/bin/vllm", "serve"),
    ]
    assert "RuntimeDirectory=mirrorfleet-gpus\n" in service.unit
    assert service.files["gpu_turns.py"] == PROGRAM.read_text()
    alone = render.service(found["whole"], "/env", "/weights", None)
    assert "gpu_turns" not in alone.unit + "".join(alone.files)
    assert "RuntimeDirectory" not in alone.unit


def test_each_engine_gets_its_share() -> None:
    found = {
        name: [each for each in command_line.arguments(engine) if "utilization" in each]
        for name, engine in engines().items()
    }
    assert found["coder"] == ["--gpu-memory-utilization=0.6"]
    assert found["small"] == ["--gpu-memory-utilization=0.35"]


def test_a_chat_template_is_a_file_of_the_generation(tmp_path: Path) -> None:
    engine = engines()["coder"]
    before = render.service(engine, "/env", "/weights", None)
    path = "/opt/mirrorfleet/vllm-coder/current/chat_template.jinja"
    assert f"--chat-template={path}" in systemd.arguments(before.unit, {})
    assert before.files["chat_template.jinja"] == (GOOD / "templates/tools.jinja").read_text()
    other = tmp_path / "other.jinja"
    other.write_text("{{ messages }}")
    after = render.service(replace(engine, chat_template=other), "/env", "/weights", None)
    assert after.name == before.name
    assert after.members() != before.members(), "a new generation"


def test_options_that_a_family_needs_yield_to_the_fleet_file() -> None:
    found = engines()
    assert found["whole"].arguments == {"trust-remote-code": True}
    assert found["small"].arguments == {"chat-template-content-format": "openai"}
    assert "--trust-remote-code" in command_line.arguments(found["whole"])
