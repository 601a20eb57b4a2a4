"""An engine that Mirrorfleet does not know, from its fleet file to its service: tests/engines/echo.

One call registers it. tests/fleet/test_files_of_an_engine.py counts the files that an engine of
Mirrorfleet's own touches.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet import checks, fleet, monitoring
from mirrorfleet.config import schema
from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.jobs.rollback import Rollback
from mirrorfleet.jobs.verify.facts import engine_models, engine_unit
from mirrorfleet.jobs.verify.layers import Layer, layers
from mirrorfleet.jobs.verify.turns import host_script
from mirrorfleet.own_engines import register
from mirrorfleet.planning import FleetPlan, HostPlan
from mirrorfleet.planning.engines import PLANNERS
from mirrorfleet.planning.explain import values
from mirrorfleet.planning.topology import mermaid
from mirrorfleet.roles import registry
from mirrorfleet.roles.redis.role import Redis
from mirrorfleet.runtime.facts import Unit, UnitState
from mirrorfleet.runtime.observe import assumed
from tests.engines.echo import ECHO
from tests.engines.echo.plan import EchoPlan
from tests.engines.echo.role import EchoRole
from tests.roles.answers import MACHINE, Answers, bare
from tests.roles.conftest import Planned
from tests.roles.fake import MIRROR, mirror
from tests.roles.fleets import SECRETS

FLEET = """\
version: 1
name: echoes
hosts:
  gpu: {address: 10.0.0.1, gpus: {count: 2}}
  gw: {address: 10.0.0.2}
  dev: {address: 10.0.0.3}
models:
  parrot:
    engine: echo
    hosts: [gpu]
    context: 131072
    output: 8192
    reserved_gpus: 1
    api_key: {env: ENGINE_KEY}
  helper: {engine: ollama, weights: "qwen3:4b", hosts: [gpu], context: 131072, output: 8192}
gateway:
  hosts: [gw]
  version: 1.106.12
  master_key: {env: LITELLM_MASTER_KEY}
  metrics: {port: 9464}
keys: {root: {env: MIRRORFLEET_KEY_ROOT}}
aliases: {opus: parrot, sonnet: parrot, haiku: helper}
developers:
  team: {hosts: [dev], users: [ada], model: parrot, version: 2.1.331}
"""


@pytest.fixture
def registered() -> Iterator[None]:
    register(ECHO)
    yield
    name = ECHO.engine.name
    del ENGINES[name], PLANNERS[name], schema._own_engines[name]
    checks.CHECKS.remove(ECHO.check)
    registry._own.remove(ECHO.role)
    schema.root.cache_clear()


def problems(directory: Path, old: str = "", new: str = "") -> list[str]:
    """Return the texts of problems of the fleet, in which a text is replaced."""
    path = directory / "fleet.yml"
    assert old in FLEET
    path.write_text(FLEET.replace(old, new, 1))
    try:
        return [problem.text for problem in fleet.load(path).warnings]
    except fleet.FleetError as error:
        return [problem.text for problem in error.problems]


def planned(directory: Path) -> FleetPlan:
    path = directory / "fleet.yml"
    path.write_text(FLEET)
    return fleet.plan(fleet.load(path))


def test_an_unregistered_engine_is_unknown(tmp_path: Path) -> None:
    [problem] = [text for text in problems(tmp_path) if "parrot" in text]
    assert problem.startswith(
        "models.parrot.engine: is 'echo'; it must be one of external, ollama, vllm."
    )


@pytest.mark.usefixtures("registered")
def test_an_engine_can_be_registered_only_once() -> None:
    with pytest.raises(ValueError, match="engine 'echo' is registered already"):
        register(ECHO)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("    output: 8192\n", "", "models.parrot: missing key 'output'."),
        ("reserved_gpus: 1", "voise: loud", "voise: unknown key. Did you mean 'voice'?"),
        ("hosts: [gpu]", "hosts: [gpu, gw]\n    voice: loud", "is loud on several hosts."),
        ("hosts: [gpu]", "hosts: [gqu]", "host 'gqu' does not exist in this file."),
        (
            "hosts: [gpu]",
            "hosts: [gpu]\n    port: 11434",
            "is 11434, which the Ollama of helper uses on gpu.",
        ),
        ("reserved_gpus: 1", "reserved_gpus: 3", "needs 3 GPUs, but gpu has 2."),
        (
            "reserved_gpus: 1",
            "reserved_gpus: 2",
            "has no GPU on gpu: all 2 are assigned to other models",
        ),
        ("reserved_gpus: 1", "tools: false", "resolves to 'parrot', which only repeats"),
        ("ENGINE_KEY", "LITELLM_MASTER_KEY", "the engine would learn it."),
        ("10.0.0.1", "9.9.9.9", "prompts and answers are not encrypted."),
        (
            "gateway:\n",
            "gateway:\n  extra: {models: {parrot: {api_key: x}}}\n",
            "cannot be set here. Write models.parrot.api_key.",
        ),
    ],
)
def test_mistakes_of_its_models_are_reported(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert any(problem in text for text in problems(tmp_path, old, new))


@pytest.mark.usefixtures("registered")
def test_a_valid_fleet_with_it_is_accepted(tmp_path: Path) -> None:
    assert not [problem for problem in problems(tmp_path) if "parrot" in problem]


@pytest.mark.usefixtures("registered")
def test_its_plan_takes_gpus_and_leaves_the_others_to_other_engines(tmp_path: Path) -> None:
    plans = planned(tmp_path).hosts
    echo, ollama = sorted(plans["gpu"].engines, key=lambda engine: engine.engine)
    assert isinstance(echo, EchoPlan)
    assert (echo.service, echo.port, echo.devices) == ("echo-parrot", 8100, (0,))
    [other] = [
        engine for engine in plans["gpu"].to_json()["engines"] if engine["engine"] == "ollama"
    ]
    assert (ollama.engine, other["devices"]) == ("ollama", (1,)), "the GPU that is free"


@pytest.mark.usefixtures("registered")
def test_values_of_its_plan_have_their_sources_in_the_fleet_file(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    sources = {
        value.path: [source.key for source in value.sources if source.place]
        for value in values(plan, plan.hosts["gpu"])
    }
    assert sources["engines", "parrot", "port"] == []
    assert sources["engines", "parrot", "devices"] == ["models.parrot.reserved_gpus"]
    assert sources["engines", "ollama", "engine"] == ["models.helper.engine"]
    assert sources["firewall", "rules", "ollama", "name"] == ["models.helper.engine"]


@pytest.mark.usefixtures("registered")
def test_gateways_reach_it_through_the_firewall(tmp_path: Path) -> None:
    plans = planned(tmp_path).hosts
    gateway, firewall = plans["gw"].gateway, plans["gpu"].firewall
    assert gateway and firewall
    [parrot] = [route for route in gateway.routes if route.model == "parrot"]
    assert (parrot.upstream, parrot.settings["api_base"]) == (
        "hosted_vllm/parrot",
        "http://10.0.0.1:8100/v1",
    )
    assert (parrot.bearer, parrot.adaptive_thinking, parrot.checked_weights) == (True, False, None)
    assert gateway.probe == ("parrot",)
    assert {(rule.name, rule.port, rule.allowed_sources) for rule in firewall.rules} >= {
        ("parrot", 8100, ("10.0.0.2",))
    }
    own = plans["gw"].firewall
    assert own and own.upstream_routes == {"10.0.0.1": ("10.0.0.2",)}


@pytest.mark.usefixtures("registered")
def test_developers_settings_match_its_abilities(tmp_path: Path) -> None:
    clients = planned(tmp_path).hosts["dev"].clients
    assert clients
    environment = clients.users[0].settings["env"]
    abilities = dict(
        pair.split("=") for pair in environment["CLAUDE_CODE_MODEL_CAPABILITIES"].split(";")
    )
    assert abilities["parrot"] == "-mid_conv_system,-mid_conv_tool_change"
    assert environment["CLAUDE_CODE_ATTRIBUTION_HEADER"] == "0"


@pytest.mark.usefixtures("registered")
def test_it_is_in_the_topology_and_in_the_monitoring_targets(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert "parrot<br>Echo on gpu<br>128K window" in mermaid(plan.fleet)
    text = monitoring.files(plan)["prometheus.yml"]
    assert "10.0.0.1:8100" in text and "__metrics_path__: /stats" in text


@pytest.mark.usefixtures("registered", "offline_cache")
def test_its_service_is_rolled_out_before_gateways(project: Path) -> None:
    plans = planned(project).hosts
    found = {name: bare(plan) for name, plan in plans.items()}
    traffic = mirror(plans, found)
    assert not any(host_traffic.failed for host_traffic in traffic.values())
    *_, engine = (
        command for command in traffic["gpu"].execs if "mirrorfleet-echo-" in command.command
    )
    *_, gateway = (
        command for command in traffic["gw"].execs if "mirrorfleet-litellm." in command.command
    )
    assert "restart" in engine.command and "restart" in gateway.command
    assert engine.ended < gateway.number
    [echo] = plans["gpu"].engines_of(EchoPlan)
    service = EchoRole().render(echo, assumed())
    assert "Environment=CUDA_VISIBLE_DEVICES=0\n" in service.unit
    assert service.environment["ECHO_KEY"] == SECRETS["ENGINE_KEY"]


DEPLOYS = MIRROR.parent
CLEAN: Answers = {
    ("services", "*", "firewall"): (),
    ("path", "/opt/mirrorfleet"): (),
    ("path", "/var/lib/mirrorfleet"): (),
}


def error_of(plans: Mapping[str, HostPlan], answers: Answers, deploy: str) -> str:
    """Return the error that ends the run of a deploy."""
    found = dict.fromkeys(plans, answers)
    with pytest.raises(DeployError) as caught:
        mirror(plans, found, deploy=DEPLOYS / deploy, data={"service": "echo-parrot"})
    return str(caught.value)


@pytest.mark.usefixtures("registered", "offline_cache")
def test_a_host_that_runs_it_is_not_decommissioned(project: Path) -> None:
    plans = {"gpu": replace(planned(project).hosts["gpu"], firewall=None)}
    plans["gpu"] = replace(plans["gpu"], engines=plans["gpu"].engines_of(EchoPlan))
    assert "gpu: the fleet file still uses this host: models.parrot.hosts. Remove it" in error_of(
        plans, MACHINE | CLEAN, "remove_hosts.py"
    )


@pytest.mark.parametrize("is_registered", [True, False])
@pytest.mark.usefixtures("offline_cache")
def test_a_host_with_its_service_is_not_decommissioned(
    plans: Planned, request: pytest.FixtureRequest, is_registered: bool
) -> None:
    reason = "is still installed, and no registered role manages it. Register its role"
    if is_registered:
        request.getfixturevalue("registered")
        reason = "is still installed. Run deploys/mirror.py first"
    found = MACHINE | CLEAN | {("services", "*", "echo-parrot"): ()}
    message = error_of(
        {"gpu": replace(plans("lab").hosts["gpu"], engines=())}, found, "remove_hosts.py"
    )
    assert f"gpu: mirrorfleet-echo-parrot.service {reason}" in message


@pytest.mark.usefixtures("registered", "offline_cache")
@pytest.mark.parametrize("deploy", ["mirror.py", "remove_hosts.py", "rollback.py"])
def test_an_engine_whose_role_is_not_registered_stops_the_run(project: Path, deploy: str) -> None:
    plans = planned(project).hosts
    registry._own.remove(ECHO.role)
    try:
        gpu = {"gpu": plans["gpu"]}
        message = error_of(gpu, bare(plans["gpu"]) | CLEAN, deploy)
    finally:
        registry.register(ECHO.role)
    assert (
        "gpu: no role is registered for the engine 'echo' of parrot. "
        "Give its role to OwnEngine in the inventory module" in message
    )


@pytest.mark.usefixtures("registered")
def test_status_and_rollback_know_its_service(tmp_path: Path) -> None:
    plan = planned(tmp_path).hosts["gpu"]
    names = [service.name for service in registry.services(plan, assumed())]
    assert names == ["ollama", "echo-parrot"]
    found = Rollback("echo-parrot").service(plan, assumed())
    assert found and found.unit_name == "mirrorfleet-echo-parrot.service"


def test_a_role_that_is_no_engine_is_rejected() -> None:
    with pytest.raises(ValueError, match="the role of engine 'echo' has no part = 'engines'"):
        register(replace(ECHO, role=Redis()))
    assert "echo" not in ENGINES


@pytest.mark.usefixtures("registered")
def test_verify_queries_the_real_server_by_its_own_protocol(project: Path) -> None:
    plan = planned(project).hosts["gpu"]
    [echo] = plan.engines_of(EchoPlan)
    url = engine_models(echo).key[1]
    key = f"keyed /opt/mirrorfleet/echo-parrot ECHO_KEY {url} {engine_unit(echo)} 8100"
    assert key in host_script(plan, [])
    service = EchoRole().render(echo, assumed())
    with running(service.environment, service.files["server.py"]) as ask:
        assert ask("/alive", "") == {}
        answer = ask("/voices", service.environment["ECHO_KEY"])
    assert causes(layer(plan, echo, answer)) == []
    assert causes(layer(plan, echo, {"voices": {"parrot": 4096}})) == [
        "'parrot' on gpu has a window of 4096, not 131072"
    ]
    assert causes(layer(plan, echo, {"voices": {"other": 1}})) == [
        "Echo on gpu serves other, not 'parrot'"
    ]


def layer(plan: HostPlan, echo: EchoPlan, answer: Mapping[str, Any]) -> Layer:
    """Return the layer of the engine in verify, for this answer to the list of models."""
    running = {Unit(engine_unit(echo)): UnitState("active")}
    observed = assumed({**running, engine_models(echo): json.dumps(answer).encode()})
    [found] = [layer for layer in layers(plan, observed) if layer.kind == "Echo"]
    return found


def causes(found: Layer) -> list[str]:
    return [fault.cause for fault in found.faults]


@contextmanager
def running(environment: Mapping[str, str], program: str) -> Iterator[Callable[[str, str], Any]]:
    """Run the server of Echo on a free port; yield a function that requests a path with a key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {**os.environ, **environment, "ECHO_LISTEN": "127.0.0.1", "ECHO_PORT": str(port)}
    server = subprocess.Popen([sys.executable, "-c", program], env=own, stderr=subprocess.DEVNULL)

    def ask(path: str, key: str) -> Any:
        url, headers = f"http://127.0.0.1:{port}{path}", {"Authorization": f"Bearer {key}"}
        for _ in range(200):
            try:
                request = urllib.request.Request(url, headers=headers)
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except URLError as error:
                if isinstance(error, HTTPError):
                    raise
                time.sleep(0.05)
        raise AssertionError(f"no answer at {url}")

    try:
        yield ask
    finally:
        server.kill()
        server.wait()
