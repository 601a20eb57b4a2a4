"""Changes to LiteLLM's workers: the order of routes, load balancing, and recycling."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mirrorfleet.roles.litellm import render
from mirrorfleet.roles.litellm.environment import hooks
from tests.litellm.conftest import GOOD
from tests.litellm.environment import environment
from tests.litellm.gateway import Gateway, message, planned, serving
from tests.litellm.upstream import SLOW, Upstream

ROUTES = """
import asyncio
import mirrorfleet_routes
from litellm.proxy._lazy_features import LAZY_FEATURES, _force_load
from litellm.proxy.proxy_server import app
from starlette.routing import Match

def tried(path):
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "root_path": ""}
    full = [route.matches(dict(scope))[0] is Match.FULL for route in app.router.routes]
    return full.index(True) + 1

async def load():  # as the first turn does
    for feature in LAZY_FEATURES:
        if feature.matches("/v1/messages"):
            await _force_load(app, feature)

asyncio.run(load())
print(tried("/v1/messages"))
mirrorfleet_routes.install()
app.state.lazy_loaded.clear()
asyncio.run(load())
print(tried("/v1/messages"), tried("/v1/messages/count_tokens"))
"""

SOON = """
import mirrorfleet_worker_recycling

def install():
    vars(mirrorfleet_worker_recycling).update(PAUSE=0.2, SETTLE=1.0)
"""


@pytest.fixture(scope="module", name="gateway")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    plan = planned(GOOD / "research-anthropic.yml")
    with serving(plan, upstream, tmp_path_factory.mktemp("workers"), workers=2) as gateway:
        yield gateway


def is_kept(gateway: Gateway, prompt: str) -> bool:
    """Send a turn over a new connection; return whether the server keeps it open."""
    connection = HTTPConnection(urlsplit(gateway.url).netloc, timeout=60)
    body = json.dumps(message("sonnet", prompt))
    connection.request("POST", "/v1/messages", body, gateway.headers())
    response = connection.getresponse()
    assert response.status == 200
    assert b"pong" in response.read()
    connection.close()
    return not response.will_close


def test_a_busy_worker_closes_some_connections(
    gateway: Gateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(is_kept(gateway, "ping") for _ in range(20))
    monkeypatch.setattr(upstream, "patience", 2)
    with ThreadPoolExecutor(max_workers=32) as several:
        # One of the two workers has at least half of the connections.
        answers = list(several.map(is_kept, [gateway] * 32, [SLOW] * 32))
    assert 0 < answers.count(False) <= 4
    assert all(is_kept(gateway, "ping") for _ in range(20))


def test_a_worker_at_its_limit_waits_for_the_lock(upstream: Upstream, tmp_path: Path) -> None:
    plan = replace(planned(GOOD / "research-anthropic.yml"), max_requests_before_restart=20)
    variables = {"LITELLM_WORKER_STARTUP_HOOKS": f"{hooks(plan, 2)},soon:install"}
    plan = replace(plan, environment=variables)
    (tmp_path / "soon.py").write_text(SOON)
    lock = tmp_path / "mirrorfleet_worker_recycling.py"
    shutil.copy(render.HERE / "files" / lock.name, lock)
    with lock.open() as other_worker:
        fcntl.flock(other_worker, fcntl.LOCK_EX)
        with serving(plan, upstream, tmp_path, workers=2, patience=20) as gateway:
            before = workers(gateway)
            for _ in range(60):
                assert is_kept(gateway, "ping")
            time.sleep(2)
            assert workers(gateway) == before
            other_worker.close()
            end = time.monotonic() + 240
            while workers(gateway) & before:
                assert time.monotonic() < end
                with suppress(OSError):  # a worker that ends resets connections; clients retry
                    assert gateway.message("sonnet").code == 200


def workers(gateway: Gateway) -> set[str]:
    """Return the process IDs of a gateway's workers."""
    find = ["pgrep", "--session", str(gateway.session), "--full", "spawn_main"]
    return set(subprocess.run(find, stdout=subprocess.PIPE, text=True, timeout=600).stdout.split())


def test_the_routes_of_a_turn_are_tried_first() -> None:
    done = subprocess.run(
        [environment() / "bin/python", "-c", ROUTES],
        env={"PYTHONPATH": str(render.HERE / "files"), "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    before, turn, count = map(int, done.stdout.split())
    assert turn == 1
    assert count < 10
    # If LiteLLM does this itself, mirrorfleet_routes.py is no longer needed.
    assert before > 10
