"""Models for embeddings and scores, from the fleet file through the real LiteLLM to an engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.litellm.conftest import GOOD
from tests.litellm.gateway import Gateway, message, planned, serving
from tests.litellm.upstream import Upstream
from tests.standins import pooling
from tests.standins.running import Running, served

BGE, RERANKER = "http://10.0.0.1:8001", "http://10.0.0.1:8002"
JINA, OTHER = "http://10.0.9.7:8000", "http://10.0.9.9:30000"
BGE_KEY, OTHER_KEY = "sk-bge_key-0123456789", "sk-other_key-0123456789"

ENGINES = {
    BGE: Running(pooling.embedder("bge", 512), BGE_KEY),
    RERANKER: Running(pooling.reranker("reranker", 8192)),
    JINA: Running(pooling.embedder("jina-embeddings-v4", 32768)),
    OTHER: Running(pooling.reranker("other", 512), OTHER_KEY),
}

DOCUMENTS = ["a song", "leave a note"]


class At(Upstream):
    """Where the gateway finds the engines: the stand-ins of pooling models, else the common one."""

    def __init__(self, other: Upstream, engines: dict[str, str]) -> None:
        super().__init__(other.url)
        self.engines = engines

    def instead_of(self, url: str) -> str:
        for real, here in self.engines.items():
            if url.startswith(real):
                return here + url.removeprefix(real)
        return super().instead_of(url)


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with ExitStack() as stack:
        urls = {real: stack.enter_context(served(each)) for real, each in ENGINES.items()}
        at = At(upstream, urls)
        plan = planned(GOOD / "embeddings.yml")
        routes = tuple(
            replace(route, running=replace(route.running, url=at.instead_of(route.running.url)))
            if route.running
            else route
            for route in plan.routes
        )
        plan = replace(plan, routes=routes)
        yield stack.enter_context(serving(plan, at, tmp_path_factory.mktemp("gateway")))


@pytest.mark.parametrize(
    ("model", "engine", "name", "key"),
    [("bge", BGE, "bge", BGE_KEY), ("jina", JINA, "jina-embeddings-v4", None)],
)
def test_an_embedding_model_answers_through_the_gateway(
    gateway: Gateway, model: str, engine: str, name: str, key: str | None
) -> None:
    ENGINES[engine].asked.clear()
    answer = gateway.ask(
        "/v1/embeddings", {"model": model, "input": ["one", "two"]}, gateway.master
    )
    assert answer.code == 200, answer
    assert [each["embedding"] for each in answer.body["data"]] == [list(pooling.NUMBERS)] * 2
    [(path, headers, body)] = ENGINES[engine].asked
    assert (path, body["model"], body["input"]) == ("/v1/embeddings", name, ["one", "two"])
    if key:
        assert headers["authorization"] == f"Bearer {key}"


@pytest.mark.parametrize(("model", "engine"), [("reranker", RERANKER), ("other", OTHER)])
def test_a_reranker_answers_through_the_gateway(gateway: Gateway, model: str, engine: str) -> None:
    body = {"model": model, "query": "a note", "documents": DOCUMENTS, "top_n": 1}
    answer = gateway.ask("/v1/rerank", body, gateway.master)
    assert answer.code == 200, answer
    [best] = answer.body["results"]
    assert (best["index"], best["relevance_score"]) == (1, 1.0)
    assert ENGINES[engine].asked[-1][0] == "/v1/rerank"


def test_a_developers_key_opens_neither_path(gateway: Gateway) -> None:
    for path, body in (
        ("/v1/embeddings", {"model": "bge", "input": "one"}),
        ("/v1/rerank", {"model": "reranker", "query": "a note", "documents": DOCUMENTS}),
    ):
        answer = gateway.ask(path, body)
        assert answer.code == 403, answer
        assert f"doesn't open {path}" in json.dumps(answer.body)


def test_a_model_on_the_same_gpu_by_its_uuid_answers(gateway: Gateway, upstream: Upstream) -> None:
    assert gateway.ask("/v1/messages", message("coder")).text == "pong"


def test_litellm_knows_the_mode_of_each_model(gateway: Gateway) -> None:
    answer = gateway.ask("/model/info", key=gateway.master)
    modes = {each["model_name"]: each["model_info"].get("mode") for each in answer.body["data"]}
    assert modes["bge"] == modes["jina"] == "embedding"
    assert modes["reranker"] == modes["other"] == "rerank"


def test_running_engines_are_asked_for_what_they_do(gateway: Gateway) -> None:
    """The report of the gateway's host, as verify and a new generation read it."""

    def faults() -> dict[str, list[dict[str, object]]]:
        done = subprocess.run(
            [sys.executable, "-I", str(gateway.directory / "running_engines.py"), "report"],
            cwd=gateway.directory,
            env={"OTHER_API_KEY": OTHER_KEY, **_variables(gateway)},
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        return {each["model"]: each["faults"] for each in json.loads(done.stdout)}

    assert faults() == {"jina": [], "other": []}
    ENGINES[OTHER].answers = pooling.embedder("other", 512) | {
        "/v1/rerank": (404, {"detail": "No"})
    }
    [fault] = faults()["other"]
    assert fault["refused"]
    assert fault["fix"] == "Correct models.other.task, or start the server with a model for it."
    ENGINES[OTHER].answers = pooling.reranker("other", 512)


def _variables(gateway: Gateway) -> dict[str, str]:
    entries = json.loads((gateway.directory / "running.json").read_text())
    return {each["variable"]: OTHER_KEY for each in entries if each["variable"]}
