"""The contestants: each starts on loopback in front of the same upstream."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from benchmarks.machine import VENV
from mirrorfleet.config.usage import Usage
from mirrorfleet.roles.litellm import render
from mirrorfleet.runtime.cache import npm_package
from mirrorfleet.runtime.observe import Observation, assumed
from tests.litellm.environment import LOCK
from tests.litellm.gateway import free_port, planned, serving, started
from tests.litellm.upstream import Upstream

HERE = Path(__file__).parent
KEY = "sk-benchmark-0123456789"
QUICK_START = f"litellm[proxy]=={LOCK.stem}"
PROXY_LOCK = HERE / "claude-code-proxy.txt"
ROUTER = (
    "@musistudio/claude-code-router",
    "2.0.0",
    "sha512-41CRIOgBtYAxY4+xBn+plXv87ghuv0kVcdTUOFcVdf2cwQMY8u+g6DJ9hX9JiSdlX3xVFpW2UFlx7xRUTx5I5g==",
)


@dataclass(frozen=True)
class Running:
    """A running contestant; all its processes are in one session."""

    name: str
    url: str
    session: int
    model: str = "sonnet"
    headers: Mapping[str, str] = field(default_factory=dict)


Start = Callable[[str, Upstream, Path], AbstractContextManager[Running]]


@contextmanager
def floor(name: str, upstream: Upstream, directory: Path) -> Iterator[Running]:
    """Yield the upstream without a gateway; its CPU time and memory are not measured."""
    yield Running(name, f"{upstream.url}/v1/messages", 0)


@contextmanager
def mirrorfleet(
    name: str, upstream: Upstream, directory: Path, **changes: Any
) -> Iterator[Running]:
    """Run a gateway as the role renders it, with ``changes`` to its plan."""
    plan = replace(planned(HERE / "fleet.yml"), **changes)
    with serving(plan, upstream, directory, workers=render.workers(plan, _here())) as gateway:
        yield Running(
            name, f"{gateway.url}/v1/messages", gateway.session, headers=gateway.headers()
        )


def before_ollama(
    name: str, upstream: Upstream, directory: Path
) -> AbstractContextManager[Running]:
    """Run Mirrorfleet's gateway with what it does for Ollama.

    It checks the size of every prompt (mirrorfleet_ollama.py), and mends the schemas of tools.
    """
    routes = planned(HERE / "fleet.yml").routes
    changed = tuple(replace(route, engine="ollama", checked_weights="weights") for route in routes)
    return mirrorfleet(name, upstream, directory, routes=changed)


def without_mends(
    name: str, upstream: Upstream, directory: Path
) -> AbstractContextManager[Running]:
    """Run Mirrorfleet's gateway as for Claude: it mends no requests."""
    routes = planned(HERE / "fleet.yml").routes
    changed = tuple(replace(route, is_claude=True) for route in routes)
    return mirrorfleet(name, upstream, directory, routes=changed)


@contextmanager
def quick_start(name: str, upstream: Upstream, directory: Path, route: str) -> Iterator[Running]:
    """Run LiteLLM as in its documentation: installed by pip, one worker, a short config.yaml."""
    base = f"{upstream.url}/v1" if route == "hosted_vllm" else upstream.url
    deployment = {"model": f"{route}/coder", "api_base": base, "api_key": "none"}
    config = {"model_list": [{"model_name": "sonnet", "litellm_params": deployment}]}
    (directory / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    built = _environment("quick-start", "--constraint", str(LOCK), QUICK_START)
    port = free_port()
    command = [f"{built}/bin/litellm", "--config", "config.yaml", "--port", str(port)]
    # Without internet access, it must not wait for the price list.
    variables = {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with _served(command, directory, variables, port, "/health/readiness") as session:
        yield Running(name, _messages(port), session, headers=_bearer())


@contextmanager
def claude_code_proxy(name: str, upstream: Upstream, directory: Path) -> Iterator[Running]:
    """Run a small proxy of one worker around LiteLLM's library; only its port is changed."""
    built = _environment("proxy", "--require-hashes", "--no-deps", "--requirement", str(PROXY_LOCK))
    port = free_port()
    command = [f"{built}/bin/uvicorn", "server.fastapi:app", "--log-level=error", f"--port={port}"]
    variables = {
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": f"{upstream.url}/v1",
        "PREFERRED_PROVIDER": "openai",
        "BIG_MODEL": "coder",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    with _served(command, directory, variables, port, "/") as session:
        yield Running(name, _messages(port), session)


@contextmanager
def claude_code_router(name: str, upstream: Upstream, directory: Path) -> Iterator[Running]:
    """Run a router in Node.js with one process, without its log, which contains whole requests."""
    subprocess.run(["tar", "-xzf", npm_package(*ROUTER), "-C", directory], check=True)
    port = free_port()
    provider = {"name": "engine", "api_key": "none", "models": ["coder"]}
    provider["api_base_url"] = f"{upstream.url}/v1/chat/completions"
    config = {"PORT": port, "APIKEY": KEY, "LOG": False, "NON_INTERACTIVE_MODE": True}
    config |= {"Providers": [provider], "Router": {"default": "engine,coder"}}
    (directory / ".claude-code-router").mkdir()
    (directory / ".claude-code-router" / "config.json").write_text(json.dumps(config), "utf-8")
    command = [f"{VENV}/node", "package/dist/cli.js", "start"]
    with _served(command, directory, {}, port, "/health") as session:
        yield Running(name, _messages(port), session, headers=_bearer())


CONTESTANTS: dict[str, Start] = {
    "no gateway": floor,
    "mirrorfleet": mirrorfleet,
    "quick start": partial(quick_start, route="anthropic"),
    "quick start, hosted_vllm": partial(quick_start, route="hosted_vllm"),
    "claude-code-proxy": claude_code_proxy,
    "claude-code-router": claude_code_router,
}

VARIANTS: dict[str, Start] = {
    "one worker": partial(mirrorfleet, workers=1),
    "metrics": partial(mirrorfleet, metrics=True),
    "usage": partial(mirrorfleet, usage=Usage(rows=90, days=1095, people="name")),
    "before Ollama": before_ollama,
    "without mends": without_mends,
}
"""Mirrorfleet's gateway with one difference each, to evaluate a default."""


def _here() -> Observation:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return assumed(cores=os.cpu_count() or 1, memory=memory)


def _environment(name: str, *arguments: str) -> Path:
    """Return a Python environment with bytecode, as from pip; build it once and keep it."""
    directory = VENV.parent / f"benchmark-{name}-{sha256(repr(arguments).encode()).hexdigest()[:8]}"
    complete = directory / ".complete"
    if not complete.exists():
        uv = [f"{VENV}/uv", "--quiet"]
        subprocess.run([*uv, "venv", "--clear", f"--python={VENV}/python", directory], check=True)
        install = [*uv, "pip", "install", f"--python={directory}/bin/python", "--compile-bytecode"]
        subprocess.run([*install, *arguments], check=True)
        complete.touch()
    return directory


@contextmanager
def _served(
    command: list[str], directory: Path, variables: dict[str, str], port: int, ready: str
) -> Iterator[int]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), **variables}
    with started(command, directory, environment, f"http://127.0.0.1:{port}{ready}") as process:
        yield process.pid


def _messages(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1/messages"


def _bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {KEY}"}
