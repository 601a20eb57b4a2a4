"""What of a request reaches LiteLLM: nothing without a key, and of a developer's what is listed.

LiteLLM has about a thousand routes. Some ask for no key, and many read a model, an address or a key
from a header, the query or a field of the body: a list of what to refuse is never complete. So this
stands in front of all routes. It lets pass

- without a key: the health probes in PROBES;
- with a developer's key: turns and counts, as JSON by POST, and the list of models by GET. Of their
  headers, query and body, what is listed here passes. LiteLLM gets the body as it was read here, so
  the model that a key is held to is the one that is asked for;
- with the master key: everything;
- with a key of LiteLLM's own, once its database knows the key: all that LiteLLM lets it do. The
  passthrough to Anthropic is held to the same lists as a developer's.

Errors have the shape of Anthropic's API. A parameter of REFUSED is 400, with a line in the log. Any
other field that is not listed is left out, with a line in the log per field and worker.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import mirrorfleet_auth
from mirrorfleet_auth import AWAY, KINDS, Key, Refused, Unknown, decide
from prometheus_client import Counter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    Header = tuple[bytes, bytes]

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own, so that level and JSON format are its

REFUSALS = Counter("mirrorfleet_requests_refused", "Requests refused before LiteLLM", ["status"])
"""LiteLLM counts none of them, as it never sees them."""

PROBES = frozenset({"/health/liveliness", "/health/liveness", "/health/readiness"})
"""What load balancers and monitoring ask without a key, by LOOKS."""

LOOKS = ("GET", "HEAD", "OPTIONS")

MODELS = "/v1/models"

PASSTHROUGH = "/anthropic/"

LIMIT = 32 * 1024**2
"""Bytes of a body at most: Anthropic's own limit."""

FIELDS = frozenset(
    {
        *("model", "messages", "max_tokens", "system", "stream", "stop_sequences", "metadata"),
        *("temperature", "top_k", "top_p", "thinking", "tools", "tool_choice", "output_config"),
        *("output_format", "context_management", "compaction", "container", "mcp_servers"),
        *("service_tier", "speed", "inference_geo", "cache_control", "diagnostics", "thread"),
        *("safeguards", "reasoning_effort"),
    }
)
"""The fields of a turn or a count that pass on: those of Anthropic's Messages API."""

REFUSED = frozenset(
    {
        *("api_base", "base_url", "api_key", "api_version", "custom_body", "query_params"),
        *("extra_body", "extra_headers", "extra_query", "headers", "user_config", "model_list"),
        *("fallbacks", "context_window_fallbacks", "mock_response", "custom_llm_provider"),
        *("litellm_params", "litellm_metadata", "proxy_server_request", "guardrails", "tags"),
        *("vertex_credentials", "aws_role_name", "aws_bedrock_runtime_endpoint", "azure_ad_token"),
    }
)
"""Parameters of LiteLLM that lead elsewhere. They would not pass on anyway: this says so."""

METADATA = frozenset({"user_id"})

QUERY = frozenset({"beta", "limit", "before_id", "after_id"})

CREDENTIALS = (
    *(b"x-litellm-api-key", b"authorization", b"api-key", b"x-api-key", b"x-goog-api-key"),
    b"ocp-apim-subscription-key",
)
"""Where LiteLLM looks for a key, in its order. It gets the first one as a bearer token alone."""

HEADERS = frozenset(
    {
        *(b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection"),
        *(b"host", b"traceparent", b"tracestate", b"user-agent"),
    }
)
"""Headers that pass on, beside those that begin with ANY but not with NONE."""

ANY = (b"anthropic-", b"x-")
NONE = (b"x-litellm-", b"x-pass-", b"x-mcp-", b"x-goog-", b"x-amz-", b"x-api-key")

_told: set[str] = set()


def checked(served: ASGIApp) -> ASGIApp:
    """Return an application that gets only what may reach it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await served(scope, receive, send)
            return
        if scope["path"] in PROBES and scope.get("method") in LOOKS:
            await served({**scope, "headers": _without_key(scope["headers"])}, receive, send)
            return
        key: Key | None = None
        try:
            presented = _presented(scope["headers"])
            key = await _holder(presented, scope["path"])
            scope = {**scope, "headers": _with_key(scope["headers"], presented)}
            if key is None:
                if scope["path"].startswith(PASSTHROUGH):
                    scope, receive = await _turn(scope, receive, "a key of LiteLLM's")
            elif key.role != "admin":
                scope, receive = await _developers(scope, receive, key)
        except Refused as refused:
            if refused.code < 500 and key is not None:
                said = scope.get("method", "websocket"), scope["path"], key.name, refused
                log.error("mirrorfleet: %s %r of %s is refused: %s", *said)
            await _refuse(scope, send, refused)
            return
        except ConnectionResetError:
            return  # the client has gone
        await served(scope, receive, send)

    return answer


async def _holder(presented: str, path: str) -> Key | None:
    """Return whose key it is; None for one of LiteLLM's own. Raises Refused for no known key."""
    from litellm.proxy import proxy_server

    try:
        return decide(presented, path, mirrorfleet_auth.ring, proxy_server.master_key)
    except Unknown as unknown:
        if not mirrorfleet_auth.may_be_litellms(presented):
            raise
        if proxy_server.prisma_client is None:
            raise AWAY from None
        if not await mirrorfleet_auth.is_litellms(presented):
            raise unknown from None
        return None


async def _developers(scope: Scope, receive: Receive, key: Key) -> tuple[Scope, Receive]:
    """Return what passes on of a developer's request. Raises Refused."""
    if scope["type"] == "websocket":
        raise Refused(403, "A developer's key doesn't open websockets on this gateway.")
    if scope.get("raw_path", b"").partition(b"?")[0] not in (b"", scope["path"].encode()):
        raise Refused(404, "Write the path without escapes.")
    if scope["path"] == MODELS:
        if scope["method"] != "GET":
            raise Refused(405, f"{MODELS} takes GET.")
        return _cleaned(scope), receive
    return await _turn(scope, receive, key.name)


async def _turn(scope: Scope, receive: Receive, name: str) -> tuple[Scope, Receive]:
    """Return what passes on of a turn or a count. Raises Refused."""
    if scope["type"] != "http" or scope["method"] != "POST":
        raise Refused(405, f"{scope['path']} takes POST.")
    kinds = [value for header, value in scope["headers"] if header == b"content-type"]
    if [kind.partition(b";")[0].strip().lower() for kind in kinds] != [b"application/json"]:
        raise Refused(415, "Send the body as application/json.")
    if any(header == b"content-encoding" for header, _ in scope["headers"]):
        raise Refused(415, "Send the body without content-encoding.")
    body = _written(_fields(_read(await _received(receive)), name))
    read = False

    async def again() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return _cleaned(scope, body), again


def _fields(body: Any, name: str) -> dict[str, Any]:
    """Return the fields of a body that pass on. Raises Refused."""
    if not isinstance(body, dict):
        raise Refused(400, "The body is not a JSON object.")
    if refused := sorted(REFUSED.intersection(body)):
        raise Refused(400, f"{refused[0]}: this gateway doesn't take this parameter.")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Refused(400, "model: name a model.")
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        body["metadata"] = _known(metadata, METADATA, "metadata.")
    elif metadata is not None:
        raise Refused(400, "metadata: expected an object.")
    return _known(body, FIELDS, "")


def _known(said: dict[str, Any], known: frozenset[str], where: str) -> dict[str, Any]:
    for each in said.keys() - known:
        if each not in _told and len(_told) < 100:
            _told.add(each)
            log.error("mirrorfleet: the field %r is left out of requests", where + each[:60])
    return {each: value for each, value in said.items() if each in known}


async def _received(receive: Receive) -> bytes:
    """Return the whole body. Raises ConnectionResetError when the client goes before its end."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionResetError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LIMIT:
            raise Refused(413, f"The body has more than {LIMIT} bytes.")
        if not message.get("more_body"):
            return b"".join(parts)


def _read(body: bytes) -> Any:
    """Read JSON; of a name that stands twice, the last one counts."""
    import orjson

    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:  # half of a surrogate pair, from a text that was cut, is no JSON to orjson
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not JSON.") from None


def _no_number(said: str) -> None:
    raise ValueError(said)


def _written(body: dict[str, Any]) -> bytes:
    import orjson

    try:
        text: bytes = orjson.dumps(body)
        return text
    except TypeError:  # half of a surrogate pair, which LiteLLM refuses, or a very large number
        said = json.dumps(body, ensure_ascii=False).encode("utf-16", "surrogatepass")
        return said.decode("utf-16", "replace").encode()


def _presented(headers: Iterable[Header]) -> str:
    """Return the key of a request as LiteLLM would find it; nothing where there is none."""
    found = {name: value.decode("latin-1") for name, value in reversed(list(headers))}
    for name in CREDENTIALS:
        if value := found.get(name, "").strip():
            kind, _, token = value.partition(" ")
            return token.strip() if kind.lower() == "bearer" else value
    return ""


def _without_key(headers: Iterable[Header]) -> list[Header]:
    return [each for each in headers if each[0] not in CREDENTIALS]


def _with_key(headers: Iterable[Header], key: str) -> list[Header]:
    return [*_without_key(headers), (b"authorization", b"Bearer " + key.encode("latin-1"))]


def _cleaned(scope: Scope, body: bytes | None = None) -> Scope:
    """Return a request with the listed headers and query, and with this body."""
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if name in HEADERS
        or name == b"authorization"
        or (name.startswith(ANY) and not name.startswith(NONE))
    ]
    if body is not None:
        headers += [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = urlencode([(name, value) for name, value in query if name in QUERY])
    return {**scope, "headers": headers, "query_string": kept.encode()}


async def _refuse(scope: Scope, send: Send, refused: Refused) -> None:
    """Answer in the shape of Anthropic's API."""
    REFUSALS.labels(str(refused.code)).inc()
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    kind = KINDS.get(refused.code, "invalid_request_error")
    said = {"type": "error", "error": {"type": kind, "message": str(refused)}}
    body = json.dumps(said).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": refused.code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def install() -> None:
    """Stand before all of LiteLLM in this worker; where that cannot be, it does not start."""
    from litellm.proxy.proxy_server import app

    if app.middleware_stack is None:
        raise RuntimeError("LiteLLM calls its startup hooks before it is put together")
    app.middleware_stack = checked(app.middleware_stack)
