"""A gateway with models on Ollama: the stand-in, or a real one.

MIRRORFLEET_OLLAMA is the program `ollama` of a real release, and MIRRORFLEET_OLLAMA_GGUF a file
with the weights of a model that supports tools. Without them, the stand-in serves.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.litellm.gateway import Gateway, free_port, planned, serving
from tests.litellm.upstream import Upstream
from tests.standins import ollama as standin

REAL = os.environ.get("MIRRORFLEET_OLLAMA")
WINDOW = int(os.environ.get("MIRRORFLEET_OLLAMA_WINDOW", "16384"))
RESERVE = WINDOW // 16
LIMIT = WINDOW - RESERVE

FLEET = """\
version: 1
name: window
hosts:
  box: {{address: 10.0.0.2}}
  gw: {{address: 10.0.0.1}}
  dev: {{address: 10.0.0.3}}
models:
  coder: {{engine: ollama, weights: "qwen3:4b", hosts: [box], context: {window}, output: 2048}}
  cloud: {{provider: anthropic, id: claude-sonnet-5-5, api_key: {{env: CLOUD_KEY}}}}
aliases: {{sonnet: coder, opus: coder, haiku: coder}}
gateway:
  hosts: [gw]
  version: "1.106.12"
  master_key: {{env: MASTER_KEY}}
  metrics: {{}}
developers:
  team:
    {{hosts: [dev], users: [ada], model: sonnet, version: 2.1.331, key: {{env: TEAM_KEY}},
    clients: [claude, openai]}}
"""


@dataclass(frozen=True)
class Engine:
    """A running Ollama. Its model `wide` is `coder` with a window that no test fills."""

    url: str
    log: Path

    def ask(self, path: str, body: Any, timeout: float = 600) -> Any:
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=timeout) as response:
            lines = response.read().splitlines()
            return json.loads(lines[-1]) if lines else None

    def truth(self, body: dict[str, Any]) -> int:
        """Return the number of tokens of a request, counted by the model with the wide window."""
        request = {**body, "model": "wide", "max_tokens": 1, "stream": False}
        tokens: int = self.ask("/v1/messages", request)["usage"]["input_tokens"]
        return tokens

    def cuts(self) -> int:
        """Return the number of prompts that the stand-in has cut; a real Ollama reports none."""
        return self.log.read_text().count("cut: ")


@contextmanager
def engine(directory: Path, window: int = WINDOW, **faults: Any) -> Iterator[Engine]:
    """Serve the models `coder` and `wide` during the block."""
    directory.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), directory / "ollama.log"
    program = Path(REAL) if REAL else standin.tree(directory / "release", "0.32.15", **faults)
    command = [str(program), "serve"] if REAL else [sys.executable, str(program), "serve"]
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(directory / "models"),
        "OLLAMA_NO_CLOUD": "1",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=variables, stdout=output, stderr=output, start_new_session=True
        )
    try:
        found = Engine(f"http://127.0.0.1:{port}", log)
        _wait(found)
        for name, size in (("coder", window), ("wide", 8 * WINDOW)):
            _create(found, name, size)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(engine: Engine) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(engine.url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(engine.log.read_text()[-2000:])


def _create(engine: Engine, name: str, window: int) -> None:
    body: dict[str, Any] = {"model": name, "parameters": {"num_ctx": window}}
    if REAL:
        content = Path(os.environ["MIRRORFLEET_OLLAMA_GGUF"]).read_bytes()
        digest = f"sha256:{sha256(content).hexdigest()}"
        url = f"{engine.url}/api/blobs/{digest}"
        urllib.request.urlopen(
            urllib.request.Request(url, content, method="POST"), timeout=60
        ).close()
        body["files"] = {"model.gguf": digest}
        if template := os.environ.get("MIRRORFLEET_OLLAMA_TEMPLATE"):
            body["template"] = Path(template).read_text("utf-8")
    else:
        body["from"] = "qwen3:4b"
    assert engine.ask("/api/create", body)["status"] == "success"


class At(Upstream):
    """The upstreams of a gateway under test: Ollama, and the stand-in for all others."""

    def __init__(self, other: Upstream, engine: str) -> None:
        super().__init__(other.url)
        self.engine = engine

    def instead_of(self, url: str) -> str:
        return self.engine if url.startswith("http://10.0.0.2:") else super().instead_of(url)


@contextmanager
def gateway(
    directory: Path,
    upstream: Upstream,
    engine: str,
    more: str = "",
    workers: int = 2,
    window: int = WINDOW,
    timeout: int | None = None,
) -> Iterator[Gateway]:
    """Serve a gateway with an Ollama at this URL; ``more`` is appended to the fleet file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "fleet.yml"
    path.write_text(FLEET.format(window=window) + more)
    plan = planned(path)
    plan = replace(plan, timeout=timeout or plan.timeout)
    with serving(plan, At(upstream, engine), directory, workers) as running:
        yield running
