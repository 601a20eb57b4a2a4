"""Two replicas of a model, of which one is away: nobody's request fails for it."""

from __future__ import annotations

from tests.litellm.conftest import Serve
from tests.litellm.upstream import Upstream


def test_while_one_is_away_the_other_answers_all(serve: Serve, upstream: Upstream) -> None:
    gateway = serve("replicas")
    upstream.down = "10.0.0.1:8001"
    try:
        codes = [gateway.message("coder").code for _ in range(30)]
    finally:
        upstream.down = ""
    assert codes == [200] * 30
    asked = [each.host for each in upstream.taken()]
    assert asked.count("gpu-b.example.com:8001") == 30, "and never the fallback"
    # It rests for some seconds: a retry, and so a request, costs it once.
    assert 1 <= asked.count("10.0.0.1:8001") < 10
