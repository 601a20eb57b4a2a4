"""Two gateways that share a real Redis hold a rate together.

Run where the Debian package redis-server is installed, and left out elsewhere.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.section import Secret
from fleet.spec.litellm import Limits, Rate, Redis
from tests.litellm.conftest import GOOD
from tests.litellm.gateway import free_port, planned, serving
from tests.litellm.upstream import Upstream

REDIS = shutil.which("redis-server")

pytestmark = pytest.mark.skipif(REDIS is None, reason="redis-server is not on this machine")

PASSWORD = Secret("env", "REDIS_PASSWORD", Path("/"))
VALUE = "sk-redis_password-0123456789"
"""What tests/litellm/gateway.py finds behind that reference."""


@pytest.fixture(name="redis")
def running(tmp_path: Path) -> Iterator[Redis]:
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--requirepass", VALUE, "--save", ""]
    server = subprocess.Popen([str(REDIS), *options], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield Redis("127.0.0.1", port, None, PASSWORD, ssl=False)
    finally:
        server.kill()
        server.wait()


def test_gateways_hold_a_rate_together(redis: Redis, upstream: Upstream, tmp_path: Path) -> None:
    plan = replace(
        planned(GOOD / "research-anthropic.yml"),
        redis=redis,
        limits=Limits(None, None, None, {"claude-haiku-5-5": Rate(rpm=4, tpm=None)}),
    )
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    with serving(plan, upstream, one) as first, serving(plan, upstream, two) as second:
        # A minute that ends in between would begin the count again.
        time.sleep(max(0, 61 - time.time() % 60) if time.time() % 60 > 45 else 0)
        codes = [gateway.message("haiku").code for _ in range(3) for gateway in (first, second)]
    assert codes == [200, 200, 200, 200, 429, 429]
