"""deploys/verify.py: the evaluation of output of the real client with a real gateway and engine.

verify.json holds recorded output, reduced to the events and keys that matter. `other-window`,
`call-as-text` and `doctor-invalid` are composed by hand from recorded events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import StringCommand

from mirrorfleet.jobs.verify import proofs
from mirrorfleet.jobs.verify.checks import TURN, Row, rows
from mirrorfleet.jobs.verify.facts import (
    LOAD_BALANCER,
    engine_models,
    engine_urls,
    gateway_models,
    readiness_url,
)
from mirrorfleet.jobs.verify.layers import Layer, layers
from mirrorfleet.jobs.verify.table import report, show
from mirrorfleet.jobs.verify.targets import Target, targets
from mirrorfleet.jobs.verify.turns import HostReport, Turn, host_script, parse_report
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.runtime.facts import Answer, Fact, Unit, UnitState
from mirrorfleet.runtime.observe import Observation, assumed
from tests.roles.answers import with_values
from tests.roles.conftest import Planned
from tests.roles.fleets import good
from tests.roles.machine import Machine

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("verify.json").read_text("utf-8"))
ADA = ("lab", "ada")
PROVED = {
    "seconds": 25.1,
    "outcomes": [
        {"item": "tool call", "state": "ok", "note": "the same whole and streamed"},
        {"item": "tool result", "state": "ok", "note": ""},
        {"item": "tool reference", "state": "mended", "note": "by the clients' settings"},
        {"item": "image", "state": "not asked", "note": "the model does not read images"},
        {"item": "system message", "state": "ok", "note": ""},
        {"item": "prompt cache", "state": "ok", "note": "100% of 18619 tokens, after 9.1 s"},
    ],
}


Answers = list[dict[str, Any]]


def turn(name: str, code: int = 0, *, made: bool = False) -> Turn:
    output = RECORDED[name]
    text = output if isinstance(output, str) else "\n".join(map(json.dumps, output))
    return Turn(code, made, text, "")


def well() -> dict[str, Turn]:
    return {
        "version": turn("version"),
        "doctor": turn("doctor"),
        "answer tiny": turn("stream"),
        "tool tiny": turn("tool", made=True),
        "subagent tiny": turn("subagent"),
        "pasted tiny": turn("answer"),
        **day_of(),
    }


def day_of(**changed: Answers) -> dict[str, Turn]:
    """Return the requests of a day with the lab's model, with other answers to some parts."""
    given = {**DAY, **{item.replace("_", " "): each for item, each in changed.items()}}
    pairs = [(item, each) for item, several in given.items() for each in several]
    return {f"day {at} {item}/tiny": printed(**each) for at, (item, each) in enumerate(pairs)}


def printed(
    *,
    status: int = 200,
    message: str = "",
    tokens: int = 3,
    cached: int | None = None,
    by: str = "",
    errors: str = "",
    fallbacks: int = 0,
) -> Turn:
    """Return what `curl -i` prints for an answer, after a proxy's own."""
    head = f"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 {status} X\r\n"
    head += f"x-litellm-model-group: {by}\r\nx-litellm-attempted-fallbacks: {fallbacks}\r\n\r\n"
    if not status:
        return Turn(35, False, "", f"curl: (35) {message}\n")
    if status != 200:
        return Turn(0, False, head + json.dumps({"error": {"message": message}}), "")
    usage = {"input_tokens": tokens - (cached or 0)}
    usage |= {} if cached is None else {"cache_read_input_tokens": cached}
    found: dict[str, Any] = {"type": "text", "text": ""}
    if errors:
        content = {"type": "web_search_tool_result_error", "error_code": errors}
        found = {"type": "web_search_tool_result", "content": content}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": found},
        {"type": "message_delta", "delta": {}},
        {"type": "message_stop"},
    ]
    if message == "cut":
        events.pop()
    return Turn(0, False, head + "".join(f"data: {json.dumps(each)}\n\n" for each in events), "")


TEXT_ONLY = {
    "status": 400,
    "message": "messages.0.content.1.image: The model tiny reads text only.",
}
NO_SEARCH = {"status": 400, "message": "web_search: … can add one: gateway.web_search in the …"}
DAY: dict[str, Answers] = {
    "tool reference": [{"tokens": 490}, {"tokens": 500}],
    "image": [TEXT_ONLY],
    "PDF": [TEXT_ONLY],
    "web search": [NO_SEARCH],
    "foreign id": [{"by": "tiny"}],
    "second turn": [{"tokens": 3000, "cached": 2970}],
}
"""As the real LiteLLM answers: tests/litellm/test_verify_day.py."""


@pytest.fixture
def plan(plans: Planned) -> Mapping[str, HostPlan]:
    return plans("lab").hosts


@pytest.fixture
def ada(plan: Mapping[str, HostPlan]) -> Target:
    [target] = targets(plan)
    return target


def serving(plan: Mapping[str, HostPlan]) -> list[Layer]:
    """Return the layers of the lab while all of them serve."""
    return [layer for value in plan.values() for layer in layers(value, healthy(value))]


def healthy(plan: HostPlan) -> Observation:
    found: dict[Fact[Any], object] = {}
    for engine in plan.engines_of(VllmPlan):
        found[Unit(f"mirrorfleet-vllm-{engine.model}.service")] = UnitState("active")
        listed = {"data": [{"id": engine.model, "max_model_len": engine.context}]}
        found[engine_models(engine)] = json.dumps(listed).encode()
        found[proofs.fact(engine)] = {engine.model: PROVED}
    if plan.gateway:
        found[Unit("mirrorfleet-litellm.service")] = UnitState("active")
        found[Answer(readiness_url(plan.gateway))] = b'{"status": "healthy"}'
        found[gateway_models(plan.gateway)] = json.dumps({"data": [{"id": "tiny"}]}).encode()
        found |= {Answer(url): b"{}" for _, url in engine_urls(plan.gateway)}
    if plan.load_balancer:
        found[Unit(LOAD_BALANCER)] = UnitState("active")
    return assumed(found)


def row(ada: Target, layers: list[Layer], turns: dict[str, Turn], directory: str = "") -> Row:
    login = {ADA: ("/usr/local/bin/claude", directory)}
    [found] = rows(ada, HostReport(assumed(), {ADA: well() | turns}, login), layers)
    return found


def causes(row: Row) -> list[str]:
    return [f"{fault.where}: {fault.cause}" for fault in row.faults]


def test_a_working_fleet_has_no_faults(ada: Target, plan: Mapping[str, HostPlan]) -> None:
    found = row(ada, serving(plan), {})
    assert causes(found) == []
    checks = ("client", "answer", "stream", "tool", "subagent")
    expected = dict.fromkeys(checks, "ok") | {"pasted": "mended", "window": "131072"}
    assert found.checks == expected
    assert {part.item: part.state for part in found.day} == {
        "tool reference": "mended",
        "image": "mended",
        "PDF": "mended",
        "web search": "refused",
        "thinking on": "not asked",
        "thinking off": "not asked",
        "effort": "not asked",
        "foreign id": "mended",
        "second turn": "ok",
    }


@pytest.mark.parametrize(
    ("check", "recorded", "cause"),
    [
        (
            "answer",
            "unreachable",
            "network: gateway unreachable from dev at http://10.77.0.21:4000: API Error: "
            "Connection refused — a firewall or proxy may be blocking it (ECONNREFUSED)",
        ),
        ("answer", "unknown-model", "gateway: the gateway does not have the model 'tiny'"),
        ("answer", "wrong-key", "gateway: 401: the gateway rejects ada's key"),
        ("answer", "key-unreadable", "client: ada's key cannot be read"),
        (
            "answer",
            "other-window",
            "client: wrong window: the client has 65536 for 'tiny', not 131072",
        ),
        ("stream", "answer", "gateway: 'tiny' does not stream: its answer arrived in 0 piece"),
        ("tool", "call-as-text", "engine: the tool call of 'tiny' came as text"),
        ("tool", "answer", "model: 'tiny' did not call the tool: ''"),
        (
            "subagent",
            "answer",
            "client: a subagent does not complete: none was started",
        ),
    ],
)
def test_each_failure_is_reported_with_its_cause(
    ada: Target, plan: Mapping[str, HostPlan], check: str, recorded: str, cause: str
) -> None:
    found = row(ada, serving(plan), {f"{TURN.get(check, check)} tiny": turn(recorded)})
    assert cause in causes(found)
    assert len(found.faults) == 1 or check == "answer"
    assert found.faults[0].remedy
    assert found.checks[check] == "failed"


def test_a_fault_of_the_answer_is_not_repeated_for_the_subagent(
    ada: Target, plan: Mapping[str, HostPlan]
) -> None:
    ended = {"type": "system", "subtype": "task_notification", "status": "failed"}
    failed = Turn(0, False, f'{json.dumps(ended)}\n{{"type": "result"}}', "")
    turns = {"answer tiny": turn("wrong-key"), "subagent tiny": failed}
    found = row(ada, serving(plan), turns)
    assert causes(found) == ["gateway: 401: the gateway rejects ada's key"]
    assert found.checks["subagent"] == "failed"


DEAD = {"status": 500, "message": "Connect call failed"}


@pytest.mark.parametrize(
    ("item", "answers", "fault"),
    [
        (
            "tool_reference",
            [{"tokens": 490}, {"tokens": 490}],
            "engine: 'tiny' gets no names of the tools that a tool search finds",
        ),
        (
            "web_search",
            [{"errors": "unavailable"}],
            "gateway: the web search of 'tiny' fails: unavailable",
        ),
        (
            "foreign_id",
            [{"by": "other"}],
            "engine: 'other' answers claude-haiku-4-5-20251001, not 'tiny'",
        ),
        (
            "second_turn",
            [{"tokens": 3000, "cached": 0}],
            "engine: 'tiny' computes a second turn again: 0% of 3000 tokens from the cache",
        ),
        (
            "PDF",
            [{"message": "cut"}],
            "engine: 'tiny', PDF: 200: the stream ends before its last event",
        ),
        ("image", [{"status": 401, "message": "x"}], "gateway: 401: the gateway rejects ada's key"),
    ],
)
def test_a_part_of_the_day_that_fails_has_its_layer_and_a_fix(
    ada: Target,
    plan: Mapping[str, HostPlan],
    capsys: pytest.CaptureFixture[str],
    item: str,
    answers: Answers,
    fault: str,
) -> None:
    found = row(ada, serving(plan), day_of(**{item: answers}))
    assert causes(found) == [fault]
    show([], [found], {})
    printed = capsys.readouterr().out
    layer = fault.partition(":")[0]
    assert re.search(rf"^ +{item.replace('_', ' ')} +failed: {layer}\s*$", printed, re.M)
    assert found.faults[0].remedy in printed


def test_a_fallback_that_answers_is_named(ada: Target, plan: Mapping[str, HostPlan]) -> None:
    by = {"by": "cloud", "fallbacks": 1}
    several: list[dict[str, Any]] = [{"tokens": 490, **by}, {"tokens": 500}]
    found = row(ada, serving(plan), day_of(tool_reference=several, image=[by]))
    notes = {part.item: part.note for part in found.day}
    assert notes["tool reference"] == "as text, the fallback cloud answers"
    assert notes["image"] == "the fallback cloud reads it"


def test_without_a_connection_of_curl_the_day_is_not_asked(
    ada: Target, plan: Mapping[str, HostPlan]
) -> None:
    lost = {"status": 0, "message": "SSL certificate problem"}
    found = row(ada, serving(plan), day_of(image=[lost]))
    [image] = [part for part in found.day if part.item == "image"]
    assert (image.state, image.note) == (
        "not asked",
        "curl has no connection: curl: (35) SSL certificate problem",
    )
    assert found.faults == ()


def test_the_report_of_a_developer_has_80_columns(
    ada: Target,
    plan: Mapping[str, HostPlan],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show([], [row(ada, serving(plan), {})], {})
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "lab on dev as ada, user settings",
        "  tiny for opus, sonnet, haiku, fable, a window of 131072 tokens",
        "    ok               client, answer, stream, tool, subagent",
        "    not asked        thinking on, thinking off: the model does not think",
        "    not asked        effort: the model has no levels of effort",
        "    pasted           mended",
        "    tool reference   mended, as text",
        "    image            mended, the client takes it out and goes on",
        "    PDF              mended, the client takes it out and goes on",
        "    web search       refused with 400: there is no gateway.web_search",
        "    foreign id       mended, claude-haiku-4-5-20251001 is tiny",
        "    second turn      ok, 99% of 3000 tokens from the cache",
    ]


def test_a_call_denied_by_the_developers_permissions_counts(
    ada: Target, plan: Mapping[str, HostPlan]
) -> None:
    assert causes(row(ada, serving(plan), {"tool tiny": turn("tool")})) == []


@pytest.mark.parametrize(
    ("turns", "directory", "cause"),
    [
        (
            {"version": Turn(0, False, "2.0.1 (Claude Code)\n", "")},
            "",
            "client: claude is /usr/local/bin/claude, release 2.0.1, not 2.1.331",
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
def test_faults_of_the_client_are_reported(
    ada: Target,
    plan: Mapping[str, HostPlan],
    turns: dict[str, Turn],
    directory: str,
    cause: str,
) -> None:
    assert causes(row(ada, serving(plan), turns, directory)) == [cause]


def test_a_stopped_engine_is_reported_instead_of_errors_of_its_gateway(
    ada: Target, plan: Mapping[str, HostPlan]
) -> None:
    dead = [
        layer
        for name, value in plan.items()
        for layer in layers(value, assumed() if name == "gpu" else healthy(value))
    ]
    error = {"type": "result", "is_error": True, "api_error_status": 500, "result": "x"}
    failed = Turn(1, False, json.dumps(error), "")
    found = row(ada, dead, {"answer tiny": failed, **day_of(image=[DEAD])})
    assert causes(found) == ["engine: mirrorfleet-vllm-tiny.service on gpu is inactive"]


def test_a_stopped_load_balancer_is_the_cause_of_a_failed_connection(
    plans: Planned, ada: Target
) -> None:
    plan = plans("front").hosts
    found = [
        layer
        for name, value in plan.items()
        for layer in layers(value, assumed() if name in ("lb", "gw-a") else healthy(value))
    ]
    kinds = ("answer", "tool", "subagent", "pasted")
    failed = {f"{kind} tiny": turn("unreachable") for kind in kinds}
    assert causes(row(ada, found, failed)) == [
        "load balancer: mirrorfleet-front.service on lb is inactive"
    ]


def test_an_engine_with_another_window_is_a_fault(plan: Mapping[str, HostPlan]) -> None:
    gpu = plan["gpu"]
    [engine] = gpu.engines_of(VllmPlan)
    listed = json.dumps({"data": [{"id": "tiny", "max_model_len": 4096}]}).encode()
    observed = with_values(healthy(gpu), {engine_models(engine): listed})
    [layer] = layers(gpu, observed)
    [fault] = layer.faults
    assert fault.cause == f"'tiny' on gpu has a window of 4096, not {engine.context}"


def test_an_engine_that_a_gateway_cannot_reach_is_a_fault(plan: Mapping[str, HostPlan]) -> None:
    observed = healthy(plan["gw-1"])
    known = {fact: value for fact, value in observed.values.items() if ":8000" not in fact.key[1]}
    [layer] = layers(plan["gw-1"], assumed(known))
    assert [fault.cause for fault in layer.faults] == [
        "http://10.77.0.11:8000, which serves 'tiny', does not answer gw-1"
    ]


def test_a_model_for_embeddings_has_a_line() -> None:
    hosts = good("embeddings").hosts
    by_models = {layer.models: layer for layer in layers(hosts["gpu"], healthy(hosts["gpu"]))}
    assert by_models["bge",].faults == ()
    assert by_models["reranker",].kind == "vLLM"
    gateway = hosts["gw"].gateway
    assert gateway
    asked = {route.model: url for route, url in engine_urls(gateway)}
    assert asked["bge"] == "http://10.0.0.1:8001/version"
    assert asked["coder"] == "http://10.0.0.1:8000/version"
    [target] = targets(hosts)
    assert [model.name for model in target.models] == ["coder"]


def test_a_host_without_an_answer_is_a_fault(ada: Target) -> None:
    [found] = rows(ada, None, [])
    assert causes(found) == ["client: no client could be started as ada"]


def test_one_developer_per_group_is_a_target_unless_everyone_is() -> None:
    plans = good("scopes").hosts
    assert len({target.group for target in targets(plans)}) == len(targets(plans))
    assert len(targets(plans, everyone=True)) > len(targets(plans))


def test_fallbacks_are_asked_on_request_if_the_groups_keys_allow_them() -> None:
    plans = good("web-search").hosts
    asked = {
        (target.group, each.model): each.fallbacks
        for target in targets(plans, models=["coder", "other"], with_fallbacks=True)
        for each in target.days
    }
    assert asked["team", "coder"] == ("cloud",)
    assert asked["small", "coder"] == (), "its key allows coder only"
    assert asked["team", "other"] == ()
    default = [each.fallbacks for target in targets(plans) for each in target.days]
    assert set(default) == {None}


def test_a_providers_model_is_tested_only_if_used_or_named() -> None:
    plans = good("replicas").hosts
    asked = {
        model.name for target in targets(plans) if target.user == "ada" for model in target.models
    }
    assert asked == {"coder"}
    named = targets(plans, models=["cloud"])
    assert {model.name for target in named for model in target.models} == {"cloud"}


def test_one_script_per_host_and_its_output_is_parsed(
    plan: Mapping[str, HostPlan], ada: Target
) -> None:
    text = host_script(plan["dev"], [ada])
    assert text.count("<<'END OF THE DEVELOPER'") == 1
    other = replace(ada, user="grace")
    assert len(host_script(plan["dev"], [ada, other])) - len(text) < 60_000
    assert len(host_script(plan["dev"], [])) < 3_000
    lines = [
        "machine\tdebian\t12\tx86_64\t4\t8388608",
        "developer\tlab\tada",
        "Welcome to this machine!",
        "login\t/usr/local/bin/claude\t",
        "turn\tversion\t0\tno\tMi4xLjMzMA==\t",
    ]
    parsed = parse_report([], lines)
    assert parsed.turns[ADA]["version"] == Turn(0, False, "2.1.330", "")
    assert parsed.logins[ADA] == ("/usr/local/bin/claude", "")


def test_the_json_report_is_plain_data(ada: Target, plan: Mapping[str, HostPlan]) -> None:
    found = report(serving(plan), [row(ada, serving(plan), {})], {}, {})
    assert json.loads(json.dumps(found)) == found
    assert found["developers"][0]["tiers"] == ["opus", "sonnet", "haiku", "fable"]


def test_the_proof_of_an_engine_is_shown_at_80_columns(
    plan: Mapping[str, HostPlan],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show(serving(plan), [], {})
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "4 ok, 1 mended" in printed
    assert "tiny: tool reference mended, by the clients' settings\n" in printed
    assert "tiny: prompt cache ok, 100% of 18619 tokens, after 9.1 s\n" in printed
    assert "image" not in printed
    [recorded, *_] = report(serving(plan), [], {}, {})["layers"]
    assert recorded["proofs"]["tiny"][2]["state"] == "mended"


def test_an_engine_that_served_before_there_was_a_proof_has_none(
    plan: Mapping[str, HostPlan],
) -> None:
    [layer] = layers(plan["gpu"], with_values(healthy(plan["gpu"]), {RECORDED_PROOFS: {}}))
    assert [proof.summary for proof in layer.proofs] == ["not recorded"]
    assert layer.faults == ()


RECORDED_PROOFS = proofs.RecordedProofs("/opt/mirrorfleet/vllm-tiny")


@pytest.mark.parametrize("name", ["1f.json", "models.json"])
def test_the_record_of_the_current_generation_or_of_the_models_is_read(
    tmp_path: Path, name: str
) -> None:
    machine, service = Machine(tmp_path / "machine"), tmp_path / "vllm-tiny"
    fact = proofs.RecordedProofs(str(service))
    assert machine.observe(fact)[fact] == {}
    (service / "proofs").mkdir(parents=True)
    (service / "current").symlink_to("generations/1f")
    (service / "proofs/2e.json").write_text('{"tiny": "of another generation"}')
    assert machine.observe(fact)[fact] == {}
    (service / "proofs" / name).write_text(json.dumps({"tiny": PROVED}))
    assert machine.observe(fact)[fact] == {"tiny": PROVED}


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
def test_a_gateways_key_is_sent_to_its_own_unit_only(
    plan: Mapping[str, HostPlan], machine: Machine, group: str, asks: bool
) -> None:
    """A local user can own the port, and a unit of the same name."""
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
    machine.run(StringCommand(host_script(plan["gw-1"], [])))
    requests = (machine.root / "asked").read_text()
    assert "/health/readiness" in requests, "this request needs no key"
    assert ("sk-master" in requests) is asks
