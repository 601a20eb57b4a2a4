"""Two replicas of a model, of which one is down: no request fails."""

from __future__ import annotations

from tests.litellm.conftest import Serve
from tests.litellm.upstream import Upstream


def test_while_one_is_down_the_other_answers(serve: Serve, upstream: Upstream) -> None:
    gateway = serve("replicas")
    upstream.down = "10.0.0.1:8001"
    try:
        codes = [gateway.message("coder").code for _ in range(30)]
    finally:
        upstream.down = ""
    assert codes == [200] * 30
    hosts = [request.host for request in upstream.taken()]
    assert hosts.count("gpu-b.example.com:8001") == 30, "the fallback is not used"
    # Its cooldown takes some seconds, so only a few requests need a retry.
    assert 1 <= hosts.count("10.0.0.1:8001") < 10
