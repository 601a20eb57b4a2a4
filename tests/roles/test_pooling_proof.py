"""The smoke test of models for embeddings and scores."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys

from mirrorfleet.roles.vllm import render
from mirrorfleet.runtime.service import NEVER
from tests.roles import programs
from tests.standins import pooling, running
from tests.standins.running import Running

SMOKE_TEST = render.HERE / "files" / "smoke_test.py"
ME = pwd.getpwuid(os.getuid()).pw_name


def pooled(engine: Running, task: str, window: int = 512) -> subprocess.CompletedProcess[str]:
    """Run the smoke test of a model for embeddings or scores."""
    with running.served(engine) as url:
        command = [sys.executable, "-I", str(SMOKE_TEST), url, ME]
        expected = {"model": "tiny", "context": window, "parser": None, "concurrency": None}
        expected["task"] = task
        return programs.run(command, json.dumps(expected))


def test_a_model_for_embeddings_must_make_one() -> None:
    engine = Running(pooling.embedder("tiny", 512))
    done = pooled(engine, "embed")
    assert (done.returncode, done.stdout) == (0, "tiny: makes embeddings of 3 numbers\n")
    assert [path for path, _, _ in engine.asked] == ["/v1/models", "/v1/embeddings"]


def test_a_reranker_must_score_every_document() -> None:
    done = pooled(Running(pooling.reranker("tiny", 512)), "rerank")
    assert (done.returncode, done.stdout) == (0, "tiny: scores documents\n")
    fewer = pooling.reranker("tiny", 512) | {"/v1/rerank": {"results": []}}
    done = pooled(Running(fewer), "rerank")
    assert (done.returncode, done.stdout) == (NEVER, "")
    assert "returns 0 scores for 2 documents" in done.stderr


def test_weights_for_another_task_do_not_serve() -> None:
    done = pooled(Running(pooling.reranker("tiny", 512)), "embed")
    assert done.returncode == NEVER
    assert "answers /v1/embeddings with 404" in done.stderr
    assert "These weights do not support the 'task': correct it, or add 'convert'" in done.stderr
    done = pooled(Running(pooling.embedder("tiny", 512)), "embed", window=8192)
    assert "has a window of 512, but the fleet file has context 8192" in done.stderr
