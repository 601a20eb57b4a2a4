"""Limits and budgets of four workers of two gateways with a real Redis, without LiteLLM: exact."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.roles.litellm.environment import redis_url
from mirrorfleet.roles.litellm.scripts import LIMITS_SCRIPTS, SCRIPTS, USAGE_SCRIPTS
from tests.litellm.environment import environment
from tests.litellm.redis_server import PASSWORD, VALUE, needed, redis

pytestmark = needed

FILES = Path(__file__).parents[2] / "roles/litellm/files"


@pytest.fixture(scope="module", name="results")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("gateway")
    for name in {*SCRIPTS, *LIMITS_SCRIPTS, *USAGE_SCRIPTS}:
        (directory / name).write_text((FILES / name).read_text())
    names: dict[str, Any] = {
        "served": [],
        "without_web_search": [],
        "searching": [],
        "tiers": {},
        "groups": {},
    }
    (directory / "names.json").write_text(json.dumps(names))
    with redis(tmp_path_factory.mktemp("redis")) as server:
        program = Path(__file__).with_name("shared_limits.py")
        url = redis_url(server.config, {PASSWORD: VALUE})
        assert server.process
        python, process = environment() / "bin/python", str(server.process.pid)
        command: list[str | Path] = [python, program, directory, url, server.directory, process]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_requests_per_minute_are_exact(results: Any) -> None:
    assert results["rate"] == {"200": 50, "429": 150}
    assert results["rate of another"] == {"200": 40}


def test_turns_at_the_same_time_are_exact(results: Any) -> None:
    assert results["parallel"] == {"200": 7, "429": 53}
    assert results["most"] == 7
    assert results["released"] == {"200": 7}


def test_a_budget_is_that_of_all_gateways(results: Any) -> None:
    assert results["half"] == [[200, {}]] * 4
    assert results["warned"] == ["daily", " used=85%"]
    assert results["spent"] == {"429": 8}
    assert results["count"] == 429
    assert results["not spent"] == {"200": 8}


def test_without_redis_turns_pass_and_nothing_is_lost(results: Any) -> None:
    assert results["away, spent"] == {"429": 8}, "the last known amounts count"
    assert results["away, not spent"] == {"200": 8}
    assert results["away, each below"] == {"200": 8}, "each gateway counts its own turns"
    assert results["back, spent"] == {"429": 8}
    assert results["back, together above"] == {"429": 8}
    assert results["back, others"] == {"200": 8}
