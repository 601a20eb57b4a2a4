"""Engines that already run: requests from the gateway's host, and faults by their answers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.jobs.verify import running as verify
from mirrorfleet.jobs.verify.layers import Fault, layers
from mirrorfleet.jobs.verify.targets import engine_models as verified
from mirrorfleet.planning import HostPlan, LitellmPlan
from mirrorfleet.roles.litellm import render, running
from mirrorfleet.roles.litellm.files import running_engines
from mirrorfleet.roles.proof import program
from mirrorfleet.runtime.facts.network import Unreached
from mirrorfleet.runtime.observe import assumed
from mirrorfleet.runtime.service import NEVER
from tests.roles.answers import MACHINE, observation_of, with_values
from tests.roles.fleets import good
from tests.roles.machine import Machine
from tests.roles.test_litellm_configuration import values
from tests.roles.test_proof_session import redirecting
from tests.standins import vllm
from tests.standins.running import CALL, CHAT_CALL, LISTED, Running, served, text

ENTRY = {
    "model": "coder",
    "served_name": "tiny",
    "variable": "",
    "path": "/v1/messages",
    "context": 131072,
    "output": 8192,
    "tools": True,
    "tools_fix": "Start it with --enable-auto-tool-choice and --tool-call-parser",
    "window_fix": "Start it with a larger --max-model-len",
    "cuts": False,
}

MESSAGES = {"/v1/models": LISTED, "/v1/messages": CALL}
CHAT = {"path": "/v1/chat/completions"}


@pytest.fixture(name="plan")
def planned() -> HostPlan:
    return good("engines-that-already-run").hosts["gw"]


@pytest.fixture
def gateway(plan: HostPlan) -> LitellmPlan:
    assert plan.gateway
    return plan.gateway


def test_a_generation_has_the_script_and_entries_of_running_engines(gateway: LitellmPlan) -> None:
    service = render.service(gateway, "/environment", values(gateway), observation_of(MACHINE))
    entries = json.loads(service.files["running.json"])
    by_model = {entry["model"]: entry for entry in entries}
    sessions = {model: entry.pop("session", None) for model, entry in by_model.items()}
    assert sessions["coder"]["kept"]["tool reference"] == "by the clients' settings"
    assert sessions["other"] is None, "it has no /v1/messages"
    assert [*by_model] == ["coder", "thinker", "helper", "other", "small"]
    assert by_model["coder"] == {
        **ENTRY,
        "url": "http://10.0.9.7:8000",
        "served_name": "Qwen/Qwen3-Coder-Next-FP8",
        "variable": "MODEL_CODER_API_KEY",
        "output": 16384,
    }
    assert by_model["helper"]["cuts"]
    assert by_model["other"]["path"] == "/v1/chat/completions"
    assert not by_model["small"]["tools"]
    assert service.environment["MODEL_CODER_API_KEY"] == "value-of-ENGINE_KEY"
    assert "running_engines.py prove" in service.hooks


def test_a_generation_without_running_engines_has_no_script() -> None:
    plan = good("smallest").hosts["gw"].gateway
    assert plan
    service = render.service(plan, "/environment", values(plan), observation_of(MACHINE))
    assert not {"running.json", "running_engines.py"} & service.files.keys()
    assert "running" not in service.hooks


def faults(answers: Mapping[str, Any], key: str = "", **entry: Any) -> list[dict[str, Any]]:
    """Return the faults of an engine with these answers."""
    with served(Running(answers, key)) as url:
        engine = running_engines.Engine({**ENTRY, "url": url, **entry})
        return [
            {"cause": fault.cause.replace(url, "URL"), "fix": fault.fix, "refused": fault.refused}
            for fault in running_engines.faults(engine)
        ]


def test_an_engine_that_matches_the_fleet_file_has_no_fault() -> None:
    assert faults(MESSAGES) == []
    assert faults({"/v1/models": LISTED, CHAT["path"]: CHAT_CALL}, **CHAT) == []
    assert faults({"/v1/messages": CALL}) == [], "not every server has a list"
    assert faults({**MESSAGES, "/v1/messages": text("ready")}, tools=False) == []


@pytest.mark.parametrize(
    ("answers", "entry", "cause", "fix"),
    [
        (
            {"/v1/models": {"data": [{"id": "qwen3:4b"}, {"id": "glm"}]}},
            {},
            "URL serves glm, qwen3:4b, not 'tiny'",
            "Write models.coder.served_name: glm.",
        ),
        (
            {"/v1/models": {"data": [{"id": "tiny", "max_model_len": 32768}]}}
            | {"/v1/messages": CALL},
            {},
            "'tiny' at URL has a window of 32768 tokens; the fleet file says 131072",
            "Start it with a larger --max-model-len, or write models.coder.context: 32768.",
        ),
        (
            {"/v1/models": "<html>"},
            {},
            "URL/v1/models is not a list of models",
            "Write the engine's own address as models.coder.url, without /v1.",
        ),
        (
            {
                **MESSAGES,
                "/v1/messages": (400, {"error": {"message": '"auto" tool choice requires x'}}),
            },
            {},
            'URL/v1/messages answers 400: "auto" tool choice requires x',
            "Start it with --enable-auto-tool-choice and --tool-call-parser.",
        ),
        (
            {**MESSAGES, "/v1/messages": text('<tool_call>{"name": "Bash"}</tool_call>')},
            {},
            "'tiny' at URL writes its tool call as text: "
            '\'<tool_call>{"name": "Bash"}</tool_call>\'',
            "Start it with --enable-auto-tool-choice and --tool-call-parser.",
        ),
        (
            {"/v1/models": LISTED},
            {},
            "URL/v1/messages answers 404: {'detail': 'Not Found'}",
            "Correct models.coder.url; or write engine: external, if it has no /v1/messages.",
        ),
        (
            {**MESSAGES, "/api/chat": {"_debug_info": {"rendered_template": "the end"}}},
            {"cuts": True},
            "'tiny' at URL has a window that cuts such prompts; the fleet file says 131072",
            "Start it with a larger --max-model-len, or write a smaller models.coder.context.",
        ),
    ],
)
def test_a_permanent_fault_ends_the_change_and_has_a_fix(
    answers: Mapping[str, Any], entry: dict[str, Any], cause: str, fix: str
) -> None:
    assert faults(answers, **entry) == [{"cause": cause, "fix": fix, "refused": True}]


@pytest.mark.parametrize(
    ("answers", "cause"),
    [
        ({"/v1/models": (503, {"error": "loading"})}, "URL answers 503: loading"),
        ({**MESSAGES, "/v1/messages": (500, {"error": "x"})}, "URL/v1/messages answers 500: x"),
        (
            {**MESSAGES, "/v1/messages": text("I would rather not.")},
            "'tiny' at URL answers 'I would rather not.' and does not call the tool",
        ),
    ],
)
def test_a_temporary_fault_does_not_end_the_change(answers: Mapping[str, Any], cause: str) -> None:
    assert [(fault["cause"], fault["refused"]) for fault in faults(answers)] == [(cause, False)]


def test_the_key_goes_to_the_engine_and_a_wrong_one_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [fault["fix"] for fault in faults(MESSAGES, "secret")] == ["Write models.coder.api_key."]
    monkeypatch.setenv("MODEL_CODER_API_KEY", "secret")
    keyed = {"variable": "MODEL_CODER_API_KEY"}
    assert faults(MESSAGES, "secret", **keyed) == []
    [fault] = faults(MESSAGES, "other", **keyed)
    assert fault["cause"] == "URL refuses the API key (401)"
    assert fault["refused"]


def prove(
    directory: Path, entries: list[dict[str, Any]], before: Any, records: str = ""
) -> tuple[int, str]:
    """Run the script as on a host; ``before`` are the entries of the former generation."""
    (directory / "running.json").write_text(json.dumps(entries))
    (directory / "before.json").write_text(json.dumps(before))
    (directory / "running_engines.py").write_text(program(Path(running_engines.__file__)), "utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "running_engines.py",
            "prove",
            "before.json",
            *[records][: bool(records)],
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr


def test_only_an_engine_that_is_new_to_the_gateway_ends_its_change(tmp_path: Path) -> None:
    with served(Running({"/v1/models": {"data": [{"id": "glm"}]}})) as url:
        entry = {**ENTRY, "url": url}
        line = f"coder: {url} serves glm, not 'tiny'. Write models.coder.served_name: glm.\n"
        assert prove(tmp_path, [entry], []) == (NEVER, line)
        assert prove(tmp_path, [entry], [{**entry, "served_name": "glm"}]) == (NEVER, line)
        assert prove(tmp_path, [entry], [{**entry, "tools_fix": "other words"}]) == (0, line)


SESSION = {"tools": True, "vision": False, "thinking": "none", "kept": {}}


@pytest.mark.parametrize(
    ("engine", "code", "line"),
    [
        (vllm.Engine(), 0, "coder: prompt cache   ok, 100% of "),
        (vllm.Engine(raises="tool_result"), NEVER, " refuses a conversation with a tool result "),
        (vllm.Engine(hits=False), 0, "its prefix cache is never hit. See the engine's log.\n"),
    ],
    ids=["it takes all", "it takes no tool results", "it is slow"],
)
def test_a_new_engine_is_asked_a_session_once(
    tmp_path: Path, engine: vllm.Engine, code: int, line: str
) -> None:
    with vllm.served(engine) as url:
        entry = {**ENTRY, "url": url, "session": SESSION}
        records = tmp_path / "proofs/running.json"
        done = prove(tmp_path, [entry], [], str(records))
        assert done[0] == code
        assert line in done[1]
        assert records.exists() == (code == 0), "a gateway that rolls back records nothing"
        asked = len(engine.asked)
        assert prove(tmp_path, [entry], [entry], str(records)) == (0, "")
        assert len(engine.asked) == asked + 1, "the generation before used it in the same way"
        found = running_engines.report(
            [entry, {**entry, "context": 4096}], [[], []], running_engines.read(str(records)) or {}
        )
    if code == 0:
        assert found[0]["proof"]["outcomes"][0]["state"] == "ok"
    assert found[1]["proof"] is None, "it was used with another window"


def test_an_engine_that_is_down_ends_no_change(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        code, output = prove(tmp_path, [{**ENTRY, "url": url}], [])
    assert code == 0
    assert output.startswith(f"coder: no reply from {url}: ")
    assert output.endswith("Start the engine, and open its port to this host.\n")


@pytest.mark.parametrize(("listed", "code"), [("tiny", 0), ("glm", NEVER)])
def test_a_gateway_is_ready_when_its_new_engines_serve(
    tmp_path: Path, gateway: LitellmPlan, listed: str, code: int
) -> None:
    """The hooks run in a real shell, with a stand-in for probe.py."""
    new = tmp_path / "generations/new"
    new.mkdir(parents=True)
    (tmp_path / "current").symlink_to("generations/new")
    (new / "probe.py").write_text("")
    (new / "environment").write_text("MODEL_CODER_API_KEY=secret\n")
    (new / "running_engines.py").write_text(program(Path(running_engines.__file__)))
    answers = {"/v1/models": {"data": [{"id": listed}]}, "/v1/messages": CALL}
    with served(Running(answers, "secret")) as url:
        entry = {**ENTRY, "url": url, "variable": "MODEL_CODER_API_KEY"}
        (new / "running.json").write_text(json.dumps([entry]))
        hooks = render.installed(gateway, observation_of(MACHINE)).hooks
        done = subprocess.run(
            ["sh", "-uc", f"outcomes=/nowhere previous=\n{hooks}\nready"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == code, done.stderr


REACH = Unreached("10.0.9.7 8000")


def test_a_host_that_does_not_reach_an_engine_is_warned(gateway: LitellmPlan) -> None:
    assert {fact.target for fact in running.facts(gateway)} == {
        "10.0.9.7 8000",
        "llm.example.com 443",
        "10.0.9.8 11434",
        "10.0.9.9 30000",
        "localhost 8080",
    }
    [problem] = running.problems(gateway, with_values(observation_of(MACHINE), {REACH: True}))
    assert str(problem.severity) == "warning"
    assert problem.text == (
        "no reply from http://10.0.9.7:8000 within 3 seconds, where 'coder' is served. "
        "Start the engine, and open its port to 10.0.0.1."
    )


def report(gateway: LitellmPlan, **found: list[dict[str, Any]]) -> Any:
    reports = [
        {"model": route.model, "faults": found.get(route.model, [])}
        for route, _ in running.routes(gateway)
    ]
    [fact] = verify.facts(gateway)
    return {fact: reports}


def test_verify_reports_each_engine_with_its_layer_and_fix(
    plan: HostPlan, gateway: LitellmPlan
) -> None:
    fault = {"cause": "http://10.0.9.8:11434 serves glm, not 'qwen3:4b'", "fix": "Write it."}
    observed = assumed(report(gateway, helper=[fault]))
    found = [layer for layer in layers(plan, observed) if layer.kind != "LiteLLM"]
    assert [(layer.kind, layer.host, layer.models) for layer in found] == [
        ("vLLM", "http://10.0.9.7:8000 from gw", ("coder",)),
        ("vLLM", "https://llm.example.com/vllm from gw", ("thinker",)),
        ("Ollama", "http://10.0.9.8:11434 from gw", ("helper",)),
        ("External engine", "http://10.0.9.9:30000 from gw", ("other",)),
        ("External engine", "http://localhost:8080 from gw", ("small",)),
    ]
    assert [fault for layer in found for fault in layer.faults] == [
        Fault("engine", f"from gw, {fault['cause']}", "Write it.")
    ]
    without = [layer for layer in layers(plan, assumed()) if layer.kind == "Ollama"]
    assert [fault.cause for layer in without for fault in layer.faults] == [
        "the gateway on gw has no report on 'helper' at http://10.0.9.8:11434"
    ]


def test_verify_asks_through_the_gateways_own_generation(tmp_path: Path) -> None:
    fact = verify.RunningEngines(60, str(tmp_path / "litellm"))
    machine = Machine(tmp_path / "machine")
    assert machine.observe(fact)[fact] == []
    current = tmp_path / "litellm/current"
    current.mkdir(parents=True)
    (current / "running_engines.py").write_text(program(Path(running_engines.__file__)))
    (current / "environment").write_text("MODEL_CODER_API_KEY=secret\n")
    with served(Running(MESSAGES, "secret")) as url:
        entry = {**ENTRY, "url": url, "variable": "MODEL_CODER_API_KEY"}
        (current / "running.json").write_text(json.dumps([entry]))
        assert machine.observe(fact)[fact] == [{"model": "coder", "faults": [], "proof": None}]


def test_verify_includes_the_models_of_running_engines(plan: HostPlan) -> None:
    assert set(verified({"gw": plan})) == {"coder", "thinker", "helper", "other", "small"}


def test_the_words_of_an_engine_do_not_control_the_terminal() -> None:
    with served(Running({"/v1/models": {"data": [{"id": "\x1b[2J\rcoder"}]}})) as url:
        entry = {**ENTRY, "url": url}
        found = [*running_engines.faults(running_engines.Engine(entry))]
    [reported] = running_engines.report([entry], [found], {})
    [fault] = reported["faults"]
    assert "[2J" in fault["cause"]
    assert (fault["cause"] + fault["fix"]).isprintable()


def test_a_redirect_does_not_take_the_key_to_another_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENGINE_KEY", "secret")
    other = Running(MESSAGES)
    with served(other) as elsewhere, redirecting(f"{elsewhere}/v1/models") as url:
        entry = {**ENTRY, "url": url, "variable": "ENGINE_KEY"}
        [fault] = running_engines.faults(running_engines.Engine(entry))
    assert "answers 302" in fault.cause
    assert other.asked == []
