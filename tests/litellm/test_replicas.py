"""Two replicas: their engines count tokens, and while one is down no request fails."""

from __future__ import annotations

from tests.litellm.conftest import Serve
from tests.litellm.gateway import message
from tests.litellm.upstream import Upstream

COUNT = "/v1/messages/count_tokens"


def test_the_engine_counts_tokens_also_where_it_checks_a_key(
    serve: Serve, upstream: Upstream
) -> None:
    gateway = serve("replicas")
    bodies = message("coder"), message("cloud")
    for body in bodies:
        body.pop("max_tokens")
    engine, provider = (gateway.ask(COUNT, body) for body in bodies)
    assert engine.body["input_tokens"] == provider.body["input_tokens"] == 7
    at_engine, at_provider = (
        {name.lower(): value for name, value in each.headers.items()} for each in upstream.taken()
    )
    [route] = [route for route in gateway.plan.routes if route.bearer][:1]
    key = gateway.secrets[route.secrets["api_key"]]
    assert at_engine["authorization"] == f"Bearer {key}"
    assert at_provider["x-api-key"] and "authorization" not in at_provider


def test_while_one_is_down_the_other_answers(serve: Serve, upstream: Upstream) -> None:
    gateway = serve("replicas")
    with upstream.changed(down="10.0.0.1:8001"):
        codes = [gateway.message("coder").code for _ in range(30)]
    assert codes == [200] * 30
    hosts = [request.host for request in upstream.taken()]
    assert hosts.count("gpu-b.example.com:8001") == 30, "the fallback is not used"
    # Its cooldown takes some seconds, so only a few requests need a retry.
    assert 1 <= hosts.count("10.0.0.1:8001") < 10
