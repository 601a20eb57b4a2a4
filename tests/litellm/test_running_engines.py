"""Engines that already run, through the real LiteLLM: each by its URL, name and key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from mirrorfleet.planning import LitellmPlan
from tests.litellm import ollama
from tests.litellm.conftest import GOOD
from tests.litellm.gateway import Gateway, message, planned, serving
from tests.litellm.ollama import WINDOW, Engine
from tests.litellm.upstream import Asked, Upstream
from tests.standins.running import Running, served

OLLAMA = "http://10.0.9.8:11434"
KEYED = "http://10.0.9.8:11435"
KEY = "sk-engine_key-0123456789"


class At(Upstream):
    """Where the gateway finds its upstreams: engines at their URLs, else the stand-in."""

    def __init__(self, other: Upstream, engines: dict[str, str]) -> None:
        super().__init__(other.url)
        self.engines = engines

    def instead_of(self, url: str) -> str:
        return self.engines.get(url) or super().instead_of(url)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with ollama.engine(tmp_path_factory.mktemp("engine")) as found:
        yield found


@pytest.fixture(scope="module")
def keyed() -> Running:
    """An Ollama behind a proxy that requires a key. It cuts every prompt."""
    return Running({"/api/chat": {"_debug_info": {"rendered_template": "the end"}}}, KEY)


def here(plan: LitellmPlan, at: Upstream) -> LitellmPlan:
    """Return the plan with the stand-ins' addresses, and the window and name of the Ollama.

    ``keyed`` is one more model on an Ollama, with the key of ``coder``.
    """
    routes = []
    for route in plan.routes:
        assert route.running or route.model == "own"
        is_ollama = route.model == "helper"
        routes.append(
            replace(
                route,
                upstream="anthropic/coder" if is_ollama else route.upstream,
                context=WINDOW if is_ollama else route.context,
                output=2048 if is_ollama else route.output,
                running=route.running
                and replace(
                    route.running,
                    url=at.instead_of(route.running.url),
                    served_name="coder" if is_ollama else route.running.served_name,
                ),
            )
        )
    coder, helper = (next(r for r in routes if r.model == name) for name in ("coder", "helper"))
    keyed = replace(helper, model="keyed", secrets=coder.secrets, bearer=True, running=None)
    routes.append(replace(keyed, settings={"api_base": KEYED}))
    return replace(plan, routes=tuple(routes), redis=None, limits=replace(plan.limits, models={}))


@pytest.fixture(scope="module")
def gateway(
    engine: Engine, keyed: Running, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with served(keyed) as url:
        at = At(upstream, {OLLAMA: engine.url, KEYED: url})
        plan = here(planned(GOOD / "engines-that-already-run.yml"), at)
        with serving(plan, at, tmp_path_factory.mktemp("gateway")) as found:
            yield found


def asked(gateway: Gateway, upstream: Upstream, model: str) -> Asked:
    """Send a turn to a model, and return what its engine was asked."""
    upstream.taken()
    answer = gateway.ask("/v1/messages", message(model, thinking={"type": "adaptive"}))
    assert answer.code == 200, answer
    assert answer.text == "pong"
    [request] = upstream.taken()
    return request


def test_a_vllm_is_asked_by_its_own_name_of_the_model(gateway: Gateway, upstream: Upstream) -> None:
    request = asked(gateway, upstream, "coder")
    assert (request.host, request.path.split("?")[0]) == ("10.0.9.7:8000", "/v1/messages")
    assert request.body["model"] == "Qwen/Qwen3-Coder-Next-FP8"
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_a_url_may_have_a_path_and_a_model_may_think(gateway: Gateway, upstream: Upstream) -> None:
    request = asked(gateway, upstream, "thinker")
    assert (request.host, request.path.split("?")[0]) == ("llm.example.com", "/vllm/v1/messages")
    # What the reasoning parser's models need: see test_thinking.py.
    assert request.body["chat_template_kwargs"] == {"enable_thinking": True}


def test_another_server_is_asked_in_openais_api(gateway: Gateway, upstream: Upstream) -> None:
    request = asked(gateway, upstream, "other")
    assert (request.host, request.path) == ("10.0.9.9:30000", "/v1/chat/completions")
    assert request.body["model"] == "glm-4.7"
    assert request.headers["authorization"] == "Bearer sk-other_key-0123456789"


def test_an_ollama_answers_and_gets_no_prompt_that_it_would_cut(
    gateway: Gateway, engine: Engine
) -> None:
    assert gateway.message("helper").code == 200
    cuts = engine.cuts()
    answer = gateway.message("haiku", "word " * (2 * WINDOW))
    assert answer.body["model"] == "Qwen/Qwen3-Coder-Next-FP8", "the fallback for long prompts"
    assert engine.cuts() == cuts


def test_an_ollama_behind_a_key_is_asked_about_the_window_with_it(
    gateway: Gateway, keyed: Running
) -> None:
    answer = gateway.message("keyed", "word " * (WINDOW // 2))
    assert answer.code == 400
    assert "prompt is too long" in answer.body["error"]["message"]
    [(path, headers, _)] = keyed.asked
    assert (path, headers["authorization"]) == ("/api/chat", f"Bearer {KEY}")


def reports(gateway: Gateway, **changed: Any) -> list[dict[str, Any]]:
    """Ask the Ollama as the gateway's host does, with a changed entry of running.json."""
    entries = json.loads((gateway.directory / "running.json").read_text())
    [entry] = [each for each in entries if each["model"] == "helper"]
    directory = gateway.directory / "proof"
    directory.mkdir(exist_ok=True)
    (directory / "running.json").write_text(json.dumps([entry | changed]))
    script = gateway.directory / "running_engines.py"
    done = subprocess.run(
        [sys.executable, "-I", str(script), "report"],
        cwd=directory,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    [found] = json.loads(done.stdout)
    return list(found["faults"])


def test_an_ollama_is_asked_for_the_declared_window(gateway: Gateway) -> None:
    assert not [each for each in reports(gateway) if each["refused"]]
    [fault, *_] = reports(gateway, context=2 * WINDOW)
    assert "has a window that cuts such prompts" in fault["cause"]
    assert fault["fix"].startswith("Set OLLAMA_CONTEXT_LENGTH there, or num_ctx of the model, or ")
    [missing] = reports(gateway, served_name="absent")
    assert missing["refused"]
