"""Two gateways with a shared rate in a real Redis, with the role's own configuration.

The Debian package redis-tools includes redis-server under the name redis-check-rdb.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mirrorfleet.config.litellm import Limits, Rate, Redis
from mirrorfleet.config.reader import Secret
from mirrorfleet.planning import RedisPlan
from mirrorfleet.roles.redis import render
from tests.litellm.conftest import GOOD
from tests.litellm.gateway import free_port, planned, serving
from tests.litellm.upstream import Upstream

PROGRAM = shutil.which("redis-check-rdb")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="redis-tools is not on this machine")

PASSWORD = Secret("env", "REDIS_PASSWORD", Path("/"))
VALUE = "sk-redis_password-0123456789"
"""The value of that reference in tests/litellm/gateway.py."""


@dataclass(frozen=True)
class Running:
    """A running Redis, and its configuration in a fleet file."""

    process: subprocess.Popen[bytes]
    config: Redis


@pytest.fixture(name="redis")
def running(tmp_path: Path) -> Iterator[Running]:
    plan = RedisPlan(listen="127.0.0.1", port=free_port(), password=PASSWORD)
    (tmp_path / "redis.conf").write_text(render.service(plan, VALUE).files["redis.conf"])
    (tmp_path / "redis-server").symlink_to(str(PROGRAM))
    command = [str(tmp_path / "redis-server"), "redis.conf"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield Running(server, Redis(plan.listen, None, plan.port, None, PASSWORD, ssl=False))
    finally:
        server.kill()
        server.wait()


def test_gateways_share_a_rate_and_serve_without_their_redis(
    redis: Running, upstream: Upstream, tmp_path: Path
) -> None:
    plan = replace(
        planned(GOOD / "research-anthropic.yml"),
        redis=redis.config,
        limits=Limits(None, None, None, {"claude-haiku-5-5": Rate(rpm=4, tpm=None)}),
    )
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    with serving(plan, upstream, one) as first, serving(plan, upstream, two) as second:
        # The count restarts every minute: avoid its end.
        time.sleep(max(0, 61 - time.time() % 60) if time.time() % 60 > 45 else 0)
        codes = [gateway.message("haiku").code for _ in range(3) for gateway in (first, second)]
        assert codes == [200, 200, 200, 200, 429, 429]
        redis.process.kill()
        redis.process.wait()
        assert first.message("sonnet").text == "pong"
