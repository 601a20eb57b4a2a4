"""What deploys/verify.py makes of what the real client prints, through real gateway and engine.

verify.json holds it, shortened: of a turn the events that tell something, of an event such keys.
Put together by hand from such are `other-window`, `call-as-text` and `doctor-invalid`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import StringCommand

from mirrorfleet.jobs.verify.judge import Row, rows
from mirrorfleet.jobs.verify.layers import Layer, layers
from mirrorfleet.jobs.verify.questions import (
    Told,
    Turn,
    asked,
    engine_models,
    gateway_models,
    reached,
    readiness_url,
    told,
)
from mirrorfleet.jobs.verify.seats import Seat, seats
from mirrorfleet.jobs.verify.table import report
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.runtime.facts import Answer, Fact, Unit, UnitState
from mirrorfleet.runtime.observe import Observation, assumed
from tests.roles.answers import having
from tests.roles.conftest import Planned
from tests.roles.fleets import good
from tests.roles.machine import Machine

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("verify.json").read_text("utf-8"))
ADA = ("lab", "ada")


def turn(name: str, code: int = 0, *, made: bool = False) -> Turn:
    said = RECORDED[name]
    text = said if isinstance(said, str) else "\n".join(map(json.dumps, said))
    return Turn(code, made, text, "")


def well() -> dict[str, Turn]:
    return {
        "version": turn("version"),
        "doctor": turn("doctor"),
        "answer tiny": turn("answer"),
        "stream tiny": turn("stream"),
        "tool tiny": turn("tool", made=True),
        "subagent tiny": turn("subagent"),
    }


@pytest.fixture
def plan(plans: Planned) -> Mapping[str, HostPlan]:
    return plans("lab").hosts


@pytest.fixture
def ada(plan: Mapping[str, HostPlan]) -> Seat:
    [seat] = seats(plan)
    return seat


def serving(plan: Mapping[str, HostPlan]) -> list[Layer]:
    """The layers of the lab, when all of them serve."""
    return [layer for each in plan.values() for layer in layers(each, healthy(each))]


def healthy(plan: HostPlan) -> Observation:
    found: dict[Fact[Any], object] = {}
    for engine in plan.engines_of(VllmPlan):
        found[Unit(f"mirrorfleet-vllm-{engine.model}.service")] = UnitState("active")
        listed = {"data": [{"id": engine.model, "max_model_len": engine.context}]}
        found[engine_models(engine)] = json.dumps(listed).encode()
    if plan.gateway:
        found[Unit("mirrorfleet-litellm.service")] = UnitState("active")
        found[Answer(readiness_url(plan.gateway))] = b'{"status": "healthy"}'
        found[gateway_models(plan.gateway)] = json.dumps({"data": [{"id": "tiny"}]}).encode()
        found |= {Answer(url): b"{}" for _, url in reached(plan.gateway)}
    return assumed(found)


def row(ada: Seat, layers: list[Layer], turns: dict[str, Turn], directory: str = "") -> Row:
    login = {ADA: ("/usr/local/bin/claude", directory)}
    [found] = rows(ada, Told(assumed(), {ADA: well() | turns}, login), layers)
    return found


def causes(row: Row) -> list[str]:
    return [f"{fault.where}: {fault.cause}" for fault in row.faults]


def test_all_is_well(ada: Seat, plan: Mapping[str, HostPlan]) -> None:
    found = row(ada, serving(plan), {})
    assert causes(found) == []
    checks = ("client", "answer", "stream", "tool", "subagent")
    assert found.checks == dict.fromkeys(checks, "ok") | {"window": "131072"}


@pytest.mark.parametrize(
    ("check", "recorded", "cause"),
    [
        (
            "answer",
            "unreachable",
            "network: gateway unreachable from dev at http://10.77.0.21:4000: API Error: "
            "Connection refused — a firewall or proxy may be blocking it (ECONNREFUSED)",
        ),
        ("answer", "unknown-model", "gateway: the gateway knows no model 'tiny'"),
        ("answer", "wrong-key", "gateway: 401: the gateway does not know ada's key"),
        ("answer", "key-unreadable", "client: ada's key cannot be read"),
        (
            "answer",
            "other-window",
            "client: wrong window: the client believes in 65536 for 'tiny', not 131072",
        ),
        ("stream", "answer", "gateway: 'tiny' does not stream: its answer came in 0 piece"),
        ("tool", "call-as-text", "engine: the tool call of 'tiny' came as text"),
        ("tool", "answer", "model: 'tiny' did not call the tool: ''"),
        (
            "subagent",
            "answer",
            "client: a subagent does not come to its end: none was started",
        ),
    ],
)
def test_each_failure_has_its_cause(
    ada: Seat, plan: Mapping[str, HostPlan], check: str, recorded: str, cause: str
) -> None:
    found = row(ada, serving(plan), {f"{check} tiny": turn(recorded)})
    assert causes(found) == [cause]
    assert found.faults[0].remedy
    assert found.checks[check] == "failed"


def test_what_stops_the_answer_is_not_told_again_of_the_subagent(
    ada: Seat, plan: Mapping[str, HostPlan]
) -> None:
    ended = {"type": "system", "subtype": "task_notification", "status": "failed"}
    failed = Turn(0, False, f'{json.dumps(ended)}\n{{"type": "result"}}', "")
    turns = {"answer tiny": turn("wrong-key"), "subagent tiny": failed}
    found = row(ada, serving(plan), turns)
    assert causes(found) == ["gateway: 401: the gateway does not know ada's key"]
    assert found.checks["subagent"] == "failed"


def test_a_call_that_the_developers_permissions_deny_is_a_call(
    ada: Seat, plan: Mapping[str, HostPlan]
) -> None:
    assert causes(row(ada, serving(plan), {"tool tiny": turn("tool")})) == []


@pytest.mark.parametrize(
    ("turns", "directory", "cause"),
    [
        (
            {"version": Turn(0, False, "2.0.1 (Claude Code)\n", "")},
            "",
            "client: claude is /usr/local/bin/claude, release 2.0.1, not 2.1.330",
        ),
        (
            {"doctor": turn("doctor-invalid")},
            "",
            "client: settings ignored: ~/.claude/settings.json: Invalid or malformed JSON",
        ),
        ({}, "/tmp/x", "client: settings ignored: ada's login sets CLAUDE_CONFIG_DIR to /tmp/x"),
    ],
    ids=["another client", "broken settings", "another directory"],
)
def test_the_client_itself(
    ada: Seat,
    plan: Mapping[str, HostPlan],
    turns: dict[str, Turn],
    directory: str,
    cause: str,
) -> None:
    assert causes(row(ada, serving(plan), turns, directory)) == [cause]


def test_a_dead_engine_is_the_cause_and_not_what_its_gateway_says(
    ada: Seat, plan: Mapping[str, HostPlan]
) -> None:
    dead = [
        layer
        for name, each in plan.items()
        for layer in layers(each, assumed() if name == "gpu" else healthy(each))
    ]
    error = {"type": "result", "is_error": True, "api_error_status": 500, "result": "x"}
    failed = Turn(1, False, json.dumps(error), "")
    found = row(ada, dead, {f"{kind} tiny": failed for kind in ("answer", "stream")})
    assert causes(found) == ["engine: mirrorfleet-vllm-tiny.service on gpu is inactive"]


def test_an_engine_with_another_window_than_the_fleets(plan: Mapping[str, HostPlan]) -> None:
    gpu = plan["gpu"]
    [engine] = gpu.engines_of(VllmPlan)
    listed = json.dumps({"data": [{"id": "tiny", "max_model_len": 4096}]}).encode()
    seen = having(healthy(gpu), {engine_models(engine): listed})
    [layer] = layers(gpu, seen)
    [fault] = layer.faults
    assert fault.cause == f"'tiny' on gpu has a window of 4096, not {engine.context}"


def test_a_gateway_that_does_not_reach_an_engine(plan: Mapping[str, HostPlan]) -> None:
    seen = healthy(plan["gw-1"])
    known = {fact: value for fact, value in seen.values.items() if ":8000" not in fact.key[1]}
    [layer] = layers(plan["gw-1"], assumed(known))
    assert [fault.cause for fault in layer.faults] == [
        "from gw-1 nothing answers at http://10.77.0.11:8000, where 'tiny' is served"
    ]


def test_a_host_that_is_mute_has_a_line(ada: Seat) -> None:
    [found] = rows(ada, None, [])
    assert causes(found) == ["client: nobody could be asked as ada"]


def test_whom_is_asked() -> None:
    plans = good("scopes").hosts
    assert len({seat.group for seat in seats(plans)}) == len(seats(plans))
    assert len(seats(plans, everyone=True)) > len(seats(plans))


def test_a_providers_model_is_asked_only_where_it_is_used_or_named() -> None:
    plans = good("replicas").hosts
    asked = {line.model for seat in seats(plans) if seat.user == "ada" for line in seat.lines}
    assert asked == {"coder"}
    named = seats(plans, models=["cloud"])
    assert {line.model for seat in named for line in seat.lines} == {"cloud"}


def test_the_script_is_one_and_its_answers_are_read_back(
    plan: Mapping[str, HostPlan], ada: Seat
) -> None:
    text = asked(plan["dev"], [ada])
    assert text.count("<<'END OF THE DEVELOPER'") == 1
    lines = [
        "machine\tdebian\t12\tx86_64\t4\t8388608",
        "developer\tlab\tada",
        "Welcome to this machine!",
        "login\t/usr/local/bin/claude\t",
        "turn\tversion\t0\tno\tMi4xLjMzMA==\t",
    ]
    heard = told([], lines)
    assert heard.turns[ADA]["version"] == Turn(0, False, "2.1.330", "")
    assert heard.logins[ADA] == ("/usr/local/bin/claude", "")


def test_the_report_for_programs_is_plain_data(ada: Seat, plan: Mapping[str, HostPlan]) -> None:
    found = report(serving(plan), [row(ada, serving(plan), {})], {})
    assert json.loads(json.dumps(found)) == found
    assert found["developers"][0]["tiers"] == ["opus", "sonnet", "haiku", "fable"]


@pytest.mark.parametrize(
    ("group", "asks"),
    [
        ("/system.slice/mirrorfleet-litellm.service", True),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/mirrorfleet-litellm.service",
            False,
        ),
        ("/user.slice/user-1000.slice/session-1.scope", False),
    ],
)
def test_a_gateways_key_goes_to_its_own_unit_only(
    plan: Mapping[str, HostPlan], machine: Machine, group: str, asks: bool
) -> None:
    """A local user may have its port, and a unit of its name."""
    listens = 'LISTEN 0 9 10.77.0.21:4000 0.0.0.0:* users:(("litellm",pid=7,fd=3))'
    machine.add("ss", f"echo '{listens}'")
    machine.add("curl", 'echo "$*" >>"$ROOT/asked"; cat >>"$ROOT/asked"')
    for path, text in (
        ("/proc/7/cgroup", f"0::{group}\n"),
        ("/proc/7/comm", "mirrorfleet-lit\n"),
        ("/proc/meminfo", "MemTotal: 1 kB\n"),
        ("/opt/mirrorfleet/litellm/current/environment", "LITELLM_MASTER_KEY=sk-master\n"),
    ):
        machine.at(path).parent.mkdir(parents=True, exist_ok=True)
        machine.at(path).write_text(text)
    machine.run(StringCommand(asked(plan["gw-1"], [])))
    said = (machine.root / "asked").read_text()
    assert "/health/readiness" in said, "which needs no key"
    assert ("sk-master" in said) is asks
