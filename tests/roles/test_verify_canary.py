"""`mirrorfleet verify --canary`: engines, then gateways, against their recorded figures."""

from __future__ import annotations

import base64
import json
import os
import pwd
import sys
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import StringCommand

from mirrorfleet.jobs.canary import canaries, facts, table
from mirrorfleet.jobs.canary.results import Result, result
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.registry import service_roles
from mirrorfleet.runtime.canary import Canary
from mirrorfleet.runtime.observe import script
from tests.roles.answers import MACHINE
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.fleets import good
from tests.roles.machine import Machine
from tests.roles.test_canary import figure, generation, session
from tests.standins.vllm import Engine, served

VERIFY = Path(__file__).parents[2] / "deploys" / "verify.py"

Json = dict[str, Any]


def canary_of(plan: HostPlan) -> Canary:
    [found] = [each for role in service_roles() for each in canaries(role, plan)]
    return found


def report(model: str = "tiny", before: Json | None = None, **now: Any) -> Json:
    """Return what a host prints: the figures now, and those of a former generation."""
    then = {"release": "0.31.0", "generation": "1f", "models": {model: before}} if before else None
    found = {model: now.get("only", figure(**now))}
    return {"release": "0.32.0", "generation": "2e", "now": found, "before": then}


@pytest.fixture
def gpu(plans: Planned) -> Canary:
    return canary_of(plans("lab").hosts["gpu"])


def test_the_session_asks_engines_directly_and_through_the_gateway(plans: Planned) -> None:
    hosts = plans("lab").hosts
    engine, gateway = canary_of(hosts["gpu"]), canary_of(hosts["gw-1"])
    assert (engine.service, engine.key) == ("vllm-tiny", "VLLM_API_KEY")
    assert (gateway.service, gateway.key) == ("litellm", "LITELLM_MASTER_KEY")
    # The same session, whose cache the engine counts.
    assert engine.targets[0] == {**gateway.targets[0], "engines": []}
    assert gateway.targets[0]["engines"] == ["http://10.77.0.11:8000"]
    dev = [each for role in service_roles() for each in canaries(role, hosts["dev"])]
    assert dev == []


@pytest.mark.parametrize("name", ["embeddings", "production", "replicas", "ollama-beside-vllm"])
def test_models_without_turns_and_providers_are_not_asked(name: str) -> None:
    hosts = good(name).hosts.values()
    every = [each for plan in hosts for role in service_roles() for each in canaries(role, plan)]
    asked = {target["model"] for each in every for target in each.targets}
    routes = [route for plan in hosts if plan.gateway for route in plan.gateway.routes]
    # A mode is that of embeddings and scores.
    assert asked == {route.model for route in routes if route.engine and not route.mode}
    replicas = {target["model"]: target["replicas"] for each in every for target in each.targets}
    for model, count in replicas.items():
        assert count <= len([route for route in routes if route.model == model])


def test_a_lost_cache_is_a_fault_that_names_the_generation_to_return_to(gpu: Canary) -> None:
    found = result("gpu", gpu, report(before=figure(), rate=0.3))
    [(cause, remedy)] = found.faults
    assert cause == (
        "'tiny' at vLLM on gpu: prefix cache 30%, before 99% (0.30 x): 70% of its hits are lost"
    )
    assert remedy == (
        "mirrorfleet rollback returns to generation 1f (0.31.0), if the change is the cause."
    )


@pytest.mark.parametrize(
    "content",
    [
        report(before=figure()),
        report(before=figure(), first=9.0, second=9.0, throughput=1.0),
        report(before=figure(), rate=None),
        report(before=figure(), only={"fault": "503: busy"}),
        report(before={"fault": "503: busy"}),
        report(),
    ],
    ids=["same", "slower", "not reported", "not measured", "no figure before", "nothing before"],
)
def test_nothing_else_is_a_fault(gpu: Canary, content: Json) -> None:
    assert list(result("gpu", gpu, content).faults) == []


def test_a_service_without_an_answer_is_a_fault(gpu: Canary) -> None:
    [(cause, remedy)] = result("gpu", gpu, {}).faults
    assert cause == "vLLM on gpu has no figures: it does not answer on its port"
    assert "mirrorfleet-vllm-tiny" in remedy


def test_the_text_has_80_columns(
    gpu: Canary, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    table.show(
        [
            result("gpu", gpu, report(before=figure(), rate=0.3, first=2.0)),
            result("gpu-b", gpu, report(only={"fault": "503: " + "busy " * 30})),
            Result("gpu-c", "vLLM", "vllm-tiny", silent=True),
        ]
    )
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert printed.startswith(
        """\
vLLM 0.32.0 on gpu, compared with generation 1f (0.31.0)
  tiny
    prefix cache   failed, 30%, before 99% (0.30 x): 70% of its hits are lost
    first token    warning, 2.00 s, before 1.00 s (2.00 x): slower
    second turn    0.20 s, before 0.20 s (1.00 x)
    throughput     40 tokens/s, before 40 tokens/s (1.00 x)
vLLM 0.32.0 on gpu-b, nothing before
  tiny
    not measured   503: busy busy
"""[:330]
    )


def test_the_deploy_writes_json_and_ends_with_1_for_a_loss(plans: Planned, tmp_path: Path) -> None:
    def answer(canary: Canary, content: Json) -> dict[tuple[str, ...], tuple[str, ...]]:
        packed = base64.b64encode(json.dumps(content).encode()).decode()
        return {**MACHINE, ("canary", f"/opt/mirrorfleet/{canary.service}"): (packed,)}

    hosts = plans("lab").hosts
    path = tmp_path / "report.json"
    for rate, code in ((0.99, 0), (0.3, 1)):
        gateway = report(before=figure(), rate=rate)
        answers = {
            "gpu": answer(canary_of(hosts["gpu"]), report(before=figure())),
            "gw-1": answer(canary_of(hosts["gw-1"]), report(before=figure())),
            "gw-2": answer(canary_of(hosts["gw-2"]), gateway),
            "dev": MACHINE,
        }
        with pytest.raises(SystemExit) as ended:
            mirror(hosts, answers, deploy=VERIFY, data={"canary": "ask", "report": str(path)})
        assert ended.value.code == code
        found = json.loads(path.read_text())
        assert [(each["kind"], each["host"]) for each in found["canary"]] == [
            ("vLLM", "@fake/gpu"),
            ("LiteLLM", "@fake/gw-1"),
            ("LiteLLM", "@fake/gw-2"),
        ]
        assert (found["developers"], found["layers"], found["unreachable"]) == ([], [], {})
        last = found["canary"][-1]
        assert last["against"] == "generation 1f (0.31.0)"
        assert last["models"]["tiny"]["compared"][0]["ratio"] == pytest.approx(rate / 0.99)
        assert len(last["faults"]) == code


@pytest.mark.parametrize("is_own", [True, False], ids=["its unit", "another unit"])
def test_a_host_measures_and_sends_the_key_to_its_own_unit_only(
    machine: Machine, is_own: bool
) -> None:
    engine = Engine(details=True, written=64)
    group = "system.slice/mirrorfleet-demo.service" if is_own else "user.slice/x.scope"
    with served(engine) as url:
        own = session(url, pwd.getpwuid(os.getuid()).pw_name)
        listens = f'LISTEN 0 9 127.0.0.1:{own.port} 0.0.0.0:* users:(("vllm",pid=7,fd=3))'
        machine.add("ss", f"echo '{listens}'")
        machine.add("python3", f'exec {sys.executable} "$@"')
        place = machine.at("/opt/mirrorfleet/demo")
        generation(place, "2e", "0.32.0", age=0)
        (place / "current").symlink_to("generations/2e")
        for path, text in (
            ("/proc/7/cgroup", f"0::/{group}\n"),
            ("/proc/7/comm", "vllm\n"),
            ("/proc/meminfo", "MemTotal: 1 kB\n"),
            ("/opt/mirrorfleet/demo/current/environment", "KEY=sk-engine\n"),
        ):
            machine.at(path).parent.mkdir(parents=True, exist_ok=True)
            machine.at(path).write_text(text)
        done = machine.run(StringCommand(script([facts.fact(own)])))
    printed = [line for line in done.stdout.splitlines() if line.startswith("canary\t")]
    assert bool(printed) is is_own
    assert bool(engine.asked) is is_own
    if is_own:
        [(_, directory, packed)] = [line.split("\t") for line in printed]
        assert directory.endswith("/opt/mirrorfleet/demo")
        found = json.loads(base64.b64decode(packed))
        assert found["release"] == "0.32.0"
        assert found["now"]["tiny"]["rate"] > 0.97
        assert not (place / "figures").exists(), "verify changes no host"
