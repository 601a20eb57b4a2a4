"""Two gateways with a shared rate in a real Redis, with the role's own configuration."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from mirrorfleet.config.limits import Limits, Rate
from tests.litellm.conftest import GOOD
from tests.litellm.gateway import planned, serving
from tests.litellm.redis_server import needed, redis
from tests.litellm.upstream import Upstream

pytestmark = needed


def test_gateways_share_a_rate_and_serve_without_their_redis(
    upstream: Upstream, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(redis(tmp_path))
        plan = replace(
            planned(GOOD / "research-anthropic.yml"),
            redis=server.config,
            limits=Limits(None, None, None, {"claude-haiku-5-5": Rate(rpm=4, tpm=None)}),
        )
        first = stack.enter_context(serving(plan, upstream, one))
        second = stack.enter_context(serving(plan, upstream, two))
        # The count restarts every minute: avoid its end.
        time.sleep(max(0, 61 - time.time() % 60) if time.time() % 60 > 45 else 0)
        codes = [gateway.message("haiku").code for _ in range(3) for gateway in (first, second)]
        assert codes == [200, 200, 200, 200, 429, 429]
        server.kill()
        assert first.message("sonnet").text == "pong"
