"""Nodes of one model: their files, the order of their changes, and their launcher."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click
import pytest

from mirrorfleet import fleet
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles import registry
from mirrorfleet.roles.vllm import render
from mirrorfleet.runtime.service import Service
from tests.roles import fleets
from tests.roles.answers import Answers, bare, converged, observation_of, verified_generation
from tests.roles.fake import mirror
from tests.roles.fleets import good
from tests.roles.jobs import jobs

KEYS = ("ENGINE_KEY", "KEY", "TEAM_KEY")
ROLLBACK = fleets.ROOT / "deploys" / "rollback.py"
FORMER = "0123456789ab"
SERVICE = ("file", "link", "unit", "port")
NODES = ("gpu-1", "gpu-2", "gpu-3", "gpu-4")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.setenv(name, f"sk-of-the-tests-{name.lower()}")


def plans() -> dict[str, HostPlan]:
    return dict(good("nodes").hosts)


def large(plan: HostPlan) -> Service:
    return next(
        service
        for service in registry.rendered(plan, observation_of(bare(plan)))
        if "large" in service.name
    )


def found(plan: HostPlan, *, new: bool = False) -> Answers:
    """Return a host after a complete run; a new host has its software only."""
    answers = converged(plan)
    if not plan.engines_of(VllmPlan):
        return answers
    kept = {
        question: answer
        for question, answer in answers.items()
        if not new or question[0] not in SERVICE
    }
    return {**kept, ("card", plan.engines_of(VllmPlan)[0].listen): ("eth1",)}


def test_only_the_first_node_answers_and_has_the_key() -> None:
    services = {name: large(plan) for name, plan in plans().items() if name in NODES}
    assert {name: service.port for name, service in services.items()} == {
        "gpu-1": 8000,
        "gpu-2": 29500,
        "gpu-3": 8000,
        "gpu-4": 29500,
    }
    files = {
        name: "\n".join(member.content.decode() for member in service.members())
        for name, service in services.items()
    }
    assert [name for name in NODES if "sk-of-the-tests-engine_key" in files[name]] == [
        "gpu-1",
        "gpu-3",
    ]
    assert [name for name in NODES if "--headless" in files[name]] == ["gpu-2", "gpu-4"]
    for pair in (NODES[:2], NODES[2:]):
        assert len({services[name].files["word"] for name in pair}) == 1
    routes = plans()["gw"].gateway
    assert routes
    bases = [route.settings["api_base"] for route in routes.routes if route.model == "large"]
    assert bases == ["http://10.0.0.11:8000", "http://10.0.0.13:8000"]


def test_a_changed_variable_is_another_generation_on_every_node() -> None:
    """The first node selects the generation by a token, which depends on the variables."""
    [engine] = [
        engine for engine in plans()["gpu-2"].engines_of(VllmPlan) if engine.model == "large"
    ]
    changed = replace(engine, environment={"NCCL_DEBUG": "WARN"})
    before, after = (render.service(plan, "/e", "/w", None) for plan in (engine, changed))
    assert json.loads(after.files["nodes.json"])["environment"]["NCCL_DEBUG"] == "WARN"
    assert after.files["word"] != before.files["word"]


def test_a_node_exchanges_packets_only_with_allowed_sources() -> None:
    units = {name: large(plan).unit for name, plan in plans().items() if name in NODES}
    nodes = "10.0.0.11/32 10.0.0.12/32"
    allowed = f"IPAddressDeny=any\nIPAddressAllow=localhost {nodes} 10.0.0.3/32 10.0.9.0/24\n"
    assert allowed in units["gpu-1"]
    # The fleet file leaves the sources of gpu-3 to its network. gpu-4 has no other clients.
    assert "IPAddressDeny" not in units["gpu-3"]
    assert "IPAddressDeny" in units["gpu-4"]


def test_other_nodes_start_before_the_first_one_and_are_tested_after_it() -> None:
    found_all = {name: found(plan, new=True) for name, plan in plans().items()}
    done = mirror(plans(), found_all)
    assert jobs(done["gpu-1"])[-2:] == ["generation", "restart"]
    assert jobs(done["gpu-4"])[-3:] == ["generation", "stand by", "prove"]
    waits = done["gpu-4"].execs[-2]
    for first in ("gpu-1", "gpu-3"):
        start = done[first].execs[-1]
        assert waits.ended < start.number
        assert start.ended < done["gpu-4"].execs[-1].number


@pytest.mark.parametrize("at_once", [None, 1], ids=["all at once", "one host at a time"])
def test_replicas_change_in_order(
    at_once: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_all = {name: found(plan) for name, plan in plans().items()}
    path = tmp_path / "nodes.yml"
    text = (fleets.ROOT / "tests/fleet/good/nodes.yml").read_text()
    path.write_text(text.replace("tensor_parallel: 7", "tensor_parallel: 6"))
    changed = dict(fleet.plan(fleet.load(path)).hosts)
    done = mirror(changed, found_all, takes=0.02, at_once=at_once)
    first, second = done["gpu-1"].execs[-1], done["gpu-3"].execs[-1]
    assert first.ended < second.number


def test_a_repaired_node_restarts_its_first_node() -> None:
    answers = {name: found(plan) for name, plan in plans().items()}
    unit = large(plans()["gpu-2"]).unit_name
    answers["gpu-2"]["unit", unit] = ("inactive", "enabled", "", "no", "")
    done = mirror(plans(), answers)
    assert jobs(done["gpu-2"]) == ["stand by", "prove"]
    assert jobs(done["gpu-1"]) == ["restart"]
    assert jobs(done["gpu-3"]) == jobs(done["gpu-4"]) == []


def test_a_failed_node_leaves_its_first_node_unchanged() -> None:
    answers = {name: found(plan, new=name == "gpu-2") for name, plan in plans().items()}
    done = mirror(plans(), answers, fail={"gpu-2": ["mkdir -m 750"], "gpu-1": ["skipped because"]})
    assert done["gpu-1"].failed
    assert jobs(done["gpu-1"]) == ["skipped"]


def test_a_rollback_by_hand_changes_all_nodes() -> None:
    answers = {
        name: found(plan) | verified_generation("vllm-large", FORMER)
        for name, plan in plans().items()
    }
    for name in NODES:
        path = f"/opt/mirrorfleet/vllm-large/generations/{FORMER}"
        answers[name]["file", path] = ("d 750 root:root", "")
    done = mirror(plans(), answers, deploy=ROLLBACK, data={"service": "vllm-large"})
    assert jobs(done["gpu-1"]) == ["restart"]
    before, after = done["gpu-2"].execs
    assert before.ended < done["gpu-1"].execs[0].number
    assert done["gpu-1"].execs[0].ended < after.number
    assert "\nrestart=start\n" in before.command
    assert "\nrestart=start\n" in after.command


def test_without_changes_a_run_only_observes() -> None:
    answers = {name: found(plan) for name, plan in plans().items()}
    done = mirror(plans(), answers)
    assert {name: traffic.round_trips for name, traffic in done.items()} == dict.fromkeys(
        plans(), (1, 0)
    )


INTERFACE, PEER = ("card", "10.0.0.12"), ("unreached", "10.0.0.11 29501")


@pytest.mark.parametrize(
    ("instead", "reason"),
    [
        ({}, "no network interface has the address 10.0.0.12"),
        (
            {INTERFACE: ("eth1",), PEER: ()},
            "no reply from 10.0.0.11:29501 via eth1 within 3 seconds",
        ),
    ],
)
def test_without_a_network_both_nodes_are_skipped(
    instead: Answers, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    answers = {name: found(plan, new=True) for name, plan in plans().items()}
    del answers["gpu-2"][INTERFACE]
    answers["gpu-2"] |= instead
    done = mirror(plans(), answers)
    assert done["gpu-1"].execs == done["gpu-2"].execs == []
    assert done["gpu-3"].execs, "the other replica"
    assert done["gpu-1"].failed and done["gpu-2"].failed
    lines = [" ".join(click.unstyle(line).split()) for line in caplog.messages]
    assert any(f"[@fake/gpu-2] skipped: {reason}" in line for line in lines)
    assert "[@fake/gpu-1] skipped: 'large' also runs on @fake/gpu-2, which is skipped." in lines


def test_a_node_does_not_change_without_the_others(caplog: pytest.LogCaptureFixture) -> None:
    answers = {name: found(plan, new=True) for name, plan in plans().items()}
    done = mirror(plans(), answers, limit=["gpu-1", "gw"])
    assert done["gpu-1"].execs == []
    assert done["gpu-1"].failed
    assert "all nodes of 'large' change together, but this run leaves out gpu-2." in caplog.text


# The launcher, with sleep instead of vLLM, and two addresses of this machine instead of two hosts.


PSUTIL = """\
class Address:
    def __init__(self, address):
        self.address = address


def net_if_addrs():
    return {"lo": [Address("127.0.0.2"), Address("127.0.0.3")]}
"""


class Node:
    """The directory of the service on one node, and its launcher."""

    def __init__(self, directory: Path, rank: int, port: int) -> None:
        self.directory, self.rank, self.port = directory / str(rank), rank, port
        self.state = self.directory / "state"
        self.state.mkdir(parents=True)
        self.process: subprocess.Popen[str] | None = None

    def place(self, token: str) -> None:
        generation = self.directory / "generations" / f"g-{token}"
        generation.mkdir(parents=True, exist_ok=True)
        script = f"echo {token} >>started; exec sleep 600"
        content = {
            "addresses": ["127.0.0.2", "127.0.0.3"],
            "rank": self.rank,
            "port": self.port,
            "command": ["sh", "-c", script],
            "environment": {},
        }
        (generation / "nodes.json").write_text(json.dumps(content))
        (generation / "word").write_text(token)
        current = self.directory / "current"
        current.unlink(missing_ok=True)
        current.symlink_to(f"generations/g-{token}")

    def start(self) -> None:
        program = Path(render.HERE / "files" / "node_launcher.py")
        self.process = subprocess.Popen(
            [sys.executable, str(program), str(self.directory)],
            cwd=self.state,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def started(self) -> list[str]:
        file = self.state / "started"
        return file.read_text().split() if file.exists() else []

    def ended(self) -> str:
        assert self.process
        return self.process.communicate(timeout=10)[0]

    def engine(self) -> int:
        assert self.process
        done = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
        )
        return int(done.stdout)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Node, Node]]:
    # A stand-in for psutil, as no interface of this machine has these addresses.
    (tmp_path / "psutil.py").write_text(PSUTIL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with socket.create_server(("127.0.0.3", 0)) as free:
        port = free.getsockname()[1]
    pair = Node(tmp_path, 0, port), Node(tmp_path, 1, port)
    yield pair
    for node in pair:
        if node.process and node.process.poll() is None:
            with suppress(ValueError, ProcessLookupError):  # it has ended already, with the other
                os.kill(node.engine(), 9)
            node.process.kill()
            node.process.communicate(timeout=10)


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_nodes_start_and_end_together_despite_other_connections(pair: tuple[Node, Node]) -> None:
    first, other = pair
    for node in pair:
        node.place("old")
    other.start()
    until(lambda: _connects(other.port))
    first.start()
    until(lambda: first.started() == other.started() == ["old"])
    assert _connects(other.port)
    os.kill(first.engine(), 9)
    assert "the engine's process on this node ended with status -9" in first.ended()
    assert "127.0.0.2 is lost" in other.ended()


def test_a_node_runs_the_generation_of_the_first_node(pair: tuple[Node, Node]) -> None:
    first, other = pair
    for node in pair:
        node.place("old")
    other.place("new")
    other.start()
    first.start()
    until(lambda: first.started() == other.started() == ["old"])
    assert (other.state / "word").read_text() == "old"


def test_a_waiting_node_restarts_with_a_newer_generation(pair: tuple[Node, Node]) -> None:
    first, other = pair
    other.place("old")
    other.start()
    until(lambda: _connects(other.port))
    for node in pair:
        node.place("new")
    first.start()
    assert "systemd starts that" in other.ended()
    other.start()
    until(lambda: first.started() == other.started() == ["new"])


def test_both_nodes_report_a_missing_generation(pair: tuple[Node, Node]) -> None:
    first, other = pair
    first.place("new")
    other.place("old")
    other.start()
    first.start()
    assert "127.0.0.3 does not have this generation" in first.ended()
    assert "requests a generation that is not here" in other.ended()


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.3", port), timeout=1).close()
    except OSError:
        return False
    return True
