"""The filter of requests before the real LiteLLM, fuzzed like an attacker.

A key for certain models reaches no other model, by any path, header, body, query or method. Without
a key, only the health probes answer.
"""

from __future__ import annotations

import itertools
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.litellm.conftest import GOOD
from tests.litellm.environment import environment
from tests.litellm.gateway import Gateway, message, planned, serving
from tests.litellm.upstream import Upstream

PLAN = replace(
    planned(GOOD / "keys.yml"), passthrough=planned(GOOD / "research-anthropic.yml").passthrough
)
PROBES = {"/health/liveliness", "/health/liveness", "/health/readiness"}
TURN, COUNT, MODELS = "/v1/messages", "/v1/messages/count_tokens", "/v1/models"
PASSTHROUGH = ("/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens")


@pytest.fixture(scope="module", name="gateway")
def running(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(PLAN, upstream, tmp_path_factory.mktemp("requests")) as gateway:
        yield gateway


@pytest.fixture(scope="module", name="routes")
def _routes() -> list[tuple[str, str]]:
    """Return every path of the real LiteLLM with each of its methods."""
    program = Path(__file__).with_name("routes.py")
    done = subprocess.run(
        [environment() / "bin/python", program],
        capture_output=True,
        text=True,
        check=True,
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        timeout=600,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    pairs = [(path, method) for path, *methods in found for method in methods or ["GET"]]
    assert len(found) > 900
    return [(re.sub(r"\{[^}]*\}", "x", path) or "/", method) for path, method in pairs]


def key(gateway: Gateway, name: str) -> str:
    return gateway.secrets[next(entry.key for entry in PLAN.keys if entry.name == name)]


def ask(
    gateway: Gateway,
    path: str,
    body: bytes | None = None,
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    """Send exactly these headers, plus length and host; return status and body."""
    host, port = gateway.url.removeprefix("http://").split(":")
    connection = HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def log_of(gateway: Gateway) -> str:
    return (gateway.directory / "log").read_text()


def test_without_a_key_only_the_health_probes_answer(
    gateway: Gateway, routes: list[tuple[str, str]]
) -> None:
    before = len(log_of(gateway))
    methods = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
    requests = {*routes, *itertools.product([*PROBES, TURN, "/", "/nowhere", "/metrics"], methods)}
    wrong = []
    for path, method in sorted(requests):
        for headers in ({}, {"Authorization": "Bearer sk-wrong"}, {"x-litellm-api-key": ""}):
            status, content = ask(gateway, path, None, method, headers)
            if path in PROBES and method in ("GET", "HEAD", "OPTIONS"):
                assert status == (405 if method == "HEAD" else 200), "the statuses of LiteLLM"
            elif status != 401 or (method != "HEAD" and json.loads(content)["type"] != "error"):
                wrong.append((method, path, headers, status))
    assert wrong == []
    assert "Traceback" not in log_of(gateway)[before:]


def test_a_developers_key_gives_access_to_the_paths_of_claude_code_only(
    gateway: Gateway, routes: list[tuple[str, str]], upstream: Upstream
) -> None:
    upstream.taken()
    opened = set()
    for path, method in routes:
        status, _ = ask(gateway, path, b"{}", method, bearer(key(gateway, "ada")))
        if status not in (403, 404, 405):
            opened.add((method, path))
    posts = {("POST", path) for path in (TURN, COUNT, *PASSTHROUGH)}
    probes = {(method, path) for path in PROBES for method in ("GET", "OPTIONS")}
    assert opened - probes <= {*posts, ("GET", MODELS)}
    assert upstream.taken() == []


def test_no_websocket_opens(gateway: Gateway) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    for path in ("/v1/realtime?model=cloud", "/realtime", "/vertex_ai/live", TURN):
        for credential in ("", f"Authorization: Bearer {key(gateway, 'ada')}\r\n"):
            with socket.create_connection((host, int(port)), timeout=20) as connection:
                connection.sendall(
                    f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{credential}\r\n".encode()
                )
                assert b" 403 " in connection.recv(4096).splitlines()[0]


def outside(body: bytes) -> Iterator[bytes]:
    """Yield bodies that name `coder`, and try to reach another model or address."""
    honest = json.loads(body)
    other = {**honest, "model": "claude-opus-4-1"}
    for name, value in (
        ("custom_body", other),
        ("query_params", {"model": "cloud"}),
        ("fallbacks", ["cloud"]),
        ("fallbacks", [{"coder": ["cloud"]}]),
        ("context_window_fallbacks", [{"coder": ["cloud"]}]),
        ("model_group", "cloud"),
        ("litellm_params", {"model": "anthropic/cloud"}),
        ("metadata", {"model_group": "cloud", "tags": ["cloud"]}),
        ("litellm_metadata", {"model": "cloud"}),
        ("extra_body", other),
        ("user_config", {"model_list": []}),
        ("api_base", "http://127.0.0.1:9"),
        ("base_url", "http://127.0.0.1:9"),
        ("proxy_server_request", {"body": other}),
    ):
        yield json.dumps({**honest, name: value}).encode()
        yield json.dumps({name: value, **honest}).encode()
    text = body.decode()[1:]
    yield b'{"model": "cloud", ' + text.encode()
    yield body[:-1] + b', "model": "cloud"}'
    yield body[:-1] + b', "mod\\u0065l": "cloud"}'
    yield body.replace(b'"coder"', b'["coder", "cloud"]')
    yield body.replace(b'"coder"', b'"coder,cloud"')
    yield body.replace(b'"coder"', b'{"model": "coder"}')
    yield body.replace(b'"coder"', b'"anthropic/claude-opus-4-1"')
    yield b"[" + body + b"]"
    yield b"model=cloud&" + body
    yield b""


TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/vnd.api+json",
)
HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"x-litellm-model": "cloud"},
    {"x-litellm-api-key": "sk-wrong"},
    {"x-litellm-tags": "cloud", "x-litellm-team-id": "x"},
    {"x-api-key": "sk-wrong", "api-key": "sk-wrong"},
    {"x-goog-api-key": "sk-wrong"},
    {"x-pass-x-api-key": "sk-other", "x-amz-target": "cloud"},
    {"Content-Encoding": "gzip"},
    {"X-HTTP-Method-Override": "PUT", "X-Original-URL": "/anthropic/v1/messages"},
)
PATHS = (
    *(TURN, COUNT, *PASSTHROUGH),
    *("/v1/messages?model=cloud", "/anthropic/v1/messages?beta=true&model=cloud"),
    *("/v1/chat/completions", "/chat/completions", "/v1/completions", "/v1/responses"),
    *("/v1/messages/", "//v1/messages", "/v1//messages", "/v1%2Fmessages", "/./v1/messages"),
    *("/anthropic/../v1/messages", "/v1/messages;x", "/anthropic/v1/messages/batches"),
    *("/openai/deployments/cloud/chat/completions", "/engines/cloud/chat/completions"),
    *("/v1beta/models/cloud:generateContent", "/vertex_ai/x", "/bedrock/model/cloud/invoke"),
)


def test_a_key_for_certain_models_reaches_no_other(gateway: Gateway, upstream: Upstream) -> None:
    eve = bearer(key(gateway, "eve"))
    upstream.taken()
    turns = message("coder"), message("coder", stream=True)
    bodies = [json.dumps(turn).encode() for turn in turns]
    for path, body in itertools.product((TURN, COUNT), bodies):
        assert ask(gateway, path, body, "POST", eve)[0] == 200
    allowed = {(request.host, request.body.get("model")) for request in upstream.taken()}
    assert len({host for host, _ in allowed}) == 1
    variants = [*bodies, *outside(bodies[0]), *outside(bodies[1])]
    tried = [
        *((path, body, "POST", TYPES[0], {}) for path in PATHS for body in variants),
        *(
            (path, body, "POST", kind, {})
            for path in PATHS[:4]
            for body in variants
            for kind in TYPES[1:]
        ),
        *((path, bodies[0], "POST", TYPES[0], more) for path in PATHS for more in HEADERS),
        *((path, bodies[0], verb, TYPES[0], {}) for path in PATHS for verb in ("PUT", "PATCH")),
    ]
    statuses = set()
    before = len(log_of(gateway))
    for path, body, method, kind, more in tried:
        headers = {**eve, "Content-Type": kind, **more}
        status, _ = ask(gateway, path, body, method, headers)
        statuses.add(status)
        reached = {(request.host, request.body.get("model")) for request in upstream.taken()}
        assert reached <= allowed, (path, body, method, kind, more)
    assert statuses <= {200, 400, 401, 403, 404, 405, 415}
    assert "Traceback" not in log_of(gateway)[before:]


def test_a_key_for_certain_models_has_no_passthrough(gateway: Gateway, upstream: Upstream) -> None:
    """An earlier release sent custom_body to the provider, with the provider's key."""
    upstream.taken()
    inner = message("claude-opus-4-1")
    for path in PASSTHROUGH:
        for body in ({**message("coder"), "custom_body": inner}, message("coder"), inner):
            answer = gateway.ask(path, body, key=key(gateway, "eve"))
            assert (answer.code, answer.body["error"]["type"]) == (403, "permission_error")
    assert upstream.taken() == []


@pytest.mark.parametrize("path", [TURN, COUNT, *PASSTHROUGH])
@pytest.mark.parametrize("name", ["api_base", "custom_body", "query_params", "api_key"])
def test_a_refused_parameter_is_400_and_one_log_line(
    gateway: Gateway, upstream: Upstream, path: str, name: str
) -> None:
    upstream.taken()
    before = len(log_of(gateway))
    answer = gateway.ask(path, {**message("coder"), name: "x"}, key=key(gateway, "ada"))
    assert answer.code == 400
    assert answer.body == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": f"{name}: this gateway doesn't take this parameter.",
        },
    }
    [line] = [line for line in log_of(gateway)[before:].splitlines() if "mirrorfleet" in line]
    assert f"POST '{path}' of ada is refused: {name}" in line
    assert len(log_of(gateway)[before:]) < 600
    assert upstream.taken() == []


def test_without_a_key_a_refused_parameter_is_401_without_a_log_line(gateway: Gateway) -> None:
    before = log_of(gateway)
    answer = gateway.ask(TURN, {**message("coder"), "api_base": "http://x"}, key="sk-wrong")
    assert (answer.code, answer.body["error"]["type"]) == (401, "authentication_error")
    assert "mirrorfleet" not in log_of(gateway)[len(before) :]


def test_unknown_fields_are_left_out(gateway: Gateway, upstream: Upstream) -> None:
    upstream.taken()
    body = {**message("coder"), "future": 1, "metadata": {"user_id": "me", "tags": ["x"]}}
    assert gateway.ask(TURN, body, key=key(gateway, "ada")).code == 200
    [asked] = upstream.taken()
    assert "future" not in asked.body
    assert "tags" not in json.dumps(asked.body)
    assert "the field 'future' is left out of requests" in log_of(gateway)


@pytest.mark.parametrize("text", ["grüße 你好 😀", "half of \ud83d", "a\u2028b\x00c"])
def test_a_prompt_arrives_unchanged(gateway: Gateway, upstream: Upstream, text: str) -> None:
    upstream.taken()
    assert gateway.ask(PASSTHROUGH[0], message("claude", text), key=key(gateway, "ada")).code == 200
    [asked] = upstream.taken()
    assert asked.body == message("claude", text.replace("\ud83d", "\ufffd"))


def test_a_large_body_is_413(gateway: Gateway) -> None:
    body = json.dumps(message("coder", "x" * 33 * 2**20)).encode()
    status, content = ask(gateway, TURN, body, "POST", bearer(key(gateway, "ada")))
    assert (status, json.loads(content)["error"]["type"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("messages", value) for value in (None, "x", ["x"], {"role": "user"}, 3)),
        *(("tools", value) for value in ("x", {"name": "a"}, [3], [None])),
        *(("thinking", "on"), ("output_config", ["high"])),
    ],
)
def test_a_field_of_another_form_is_400(
    gateway: Gateway, upstream: Upstream, name: str, value: object
) -> None:
    """It was a 500, or the fallback answered, as if the engine had failed."""
    upstream.taken()
    answer = gateway.ask(TURN, {**message("coder"), name: value}, key=key(gateway, "ada"))
    assert answer.code == 400
    assert answer.body["error"]["message"].startswith(f"{name}: ")
    assert upstream.taken() == []


def test_a_very_deep_body_is_400(gateway: Gateway) -> None:
    """It was a 500, which clients send again and again."""
    deep = "[" * 1000 + "]" * 1000
    body = json.dumps(message("coder"))[:-1] + f', "tools": {deep}}}'
    status, content = ask(gateway, TURN, body.encode(), "POST", bearer(key(gateway, "ada")))
    assert (status, json.loads(content)["error"]["type"]) == (400, "invalid_request_error")


def test_the_master_key_gives_access_to_all_of_litellm(gateway: Gateway) -> None:
    assert ask(gateway, "/model/info", None, "GET", bearer(gateway.master))[0] == 200
    for header in ("x-litellm-api-key", "x-api-key", "api-key"):
        assert ask(gateway, "/model/info", None, "GET", {header: gateway.master})[0] == 200
