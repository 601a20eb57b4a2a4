"""Filter requests before they reach LiteLLM: nothing passes without a key.

LiteLLM has about a thousand routes. Some need no key, and many read a model, an address or a key
from a header, the query or a field of the body, so no list of what to refuse is complete. This
filter runs before all routes and lets pass what mirrorfleet_allowlist.py names:

- without a key: health probes;
- with a developer's key: turns and token counts, as JSON by POST, and the list of models by GET,
  with the allowed headers, query and fields. LiteLLM receives the body as it was parsed here, so
  the model that the key is checked for is the model that gets the request, also if
  mirrorfleet_names.py renames it;
- with the master key: everything;
- with a virtual key, if LiteLLM's database knows it: everything that LiteLLM allows. The
  passthrough to Anthropic is filtered as for a developer's key.

Errors have the form of Anthropic's API. A refused parameter is a 400, with a line in the log. Any
other unlisted field is left out, with one line in the log per field and worker.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import mirrorfleet_auth
from mirrorfleet_auth import KINDS, NO_DATABASE, Key, Refused, Unknown, decide
from prometheus_client import Counter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mirrorfleet.roles.litellm.files import mirrorfleet_allowlist as allowlist
    from mirrorfleet.roles.litellm.files import mirrorfleet_names

    Header = tuple[bytes, bytes]
else:
    import mirrorfleet_allowlist as allowlist
    import mirrorfleet_names

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own: the same level and JSON format

REFUSED_REQUESTS = Counter(
    "mirrorfleet_requests_refused", "Requests refused before LiteLLM", ["status"]
)
"""LiteLLM does not count these requests, because it does not receive them."""

_logged: set[str] = set()
"""Fields whose omission is in the log already."""


def filtered(app: ASGIApp) -> ASGIApp:
    """Return an application that passes only allowed requests to ``app``."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await app(scope, receive, send)
            return
        if scope["path"] in allowlist.PROBES and scope.get("method") in allowlist.PROBE_METHODS:
            await app({**scope, "headers": _without_key(scope["headers"])}, receive, send)
            return
        key: Key | None = None
        try:
            presented = _presented(scope["headers"])
            key = await _key(presented, scope["path"])
            scope = {**scope, "headers": _with_key(scope["headers"], presented)}
            if key is None:
                if scope["path"].startswith(allowlist.PASSTHROUGH):
                    scope, receive = await _filtered_turn(scope, receive)
            elif key.role != "admin":
                scope, receive = await _filtered_request(scope, receive, key)
        except Refused as refused:
            if refused.code < 500 and key is not None:
                request = scope.get("method", "websocket"), scope["path"], key.name
                log.error("mirrorfleet: %s %r of %s is refused: %s", *request, refused)
            await _refuse(scope, send, refused)
            return
        except ConnectionResetError:
            return  # the client has disconnected
        await app(scope, receive, send)

    return answer


async def _key(presented: str, path: str) -> Key | None:
    """Return the key that was presented; None for a virtual key. Raises ``Refused``."""
    from litellm.proxy import proxy_server

    try:
        return decide(presented, path, mirrorfleet_auth.ring, proxy_server.master_key)
    except Unknown as unknown:
        if not mirrorfleet_auth.may_be_virtual(presented):
            raise
        if proxy_server.prisma_client is None:
            raise NO_DATABASE from None
        if not await mirrorfleet_auth.is_virtual(presented):
            raise unknown from None
        return None


async def _filtered_request(scope: Scope, receive: Receive, key: Key) -> tuple[Scope, Receive]:
    """Return the allowed part of a developer's request. Raises ``Refused``."""
    if scope["type"] == "websocket":
        raise Refused(403, "A developer's key doesn't open websockets on this gateway.")
    if scope.get("raw_path", b"").partition(b"?")[0] not in (b"", scope["path"].encode()):
        raise Refused(404, "Write the path without escapes.")
    if scope["path"] == allowlist.MODELS:
        if scope["method"] != "GET":
            raise Refused(405, f"{allowlist.MODELS} takes GET.")
        return _with_allowed_headers(scope), receive
    return await _filtered_turn(scope, receive, key)


async def _filtered_turn(
    scope: Scope, receive: Receive, key: Key | None = None
) -> tuple[Scope, Receive]:
    """Return the allowed part of a turn or a token count. Raises ``Refused``.

    Without a key, which a virtual key has not, the model is the one that was requested.
    """
    if scope["type"] != "http" or scope["method"] != "POST":
        raise Refused(405, f"{scope['path']} takes POST.")
    kinds = [value for header, value in scope["headers"] if header == b"content-type"]
    if [kind.partition(b";")[0].strip().lower() for kind in kinds] != [b"application/json"]:
        raise Refused(415, "Send the body as application/json.")
    if any(header == b"content-encoding" for header, _ in scope["headers"]):
        raise Refused(415, "Send the body without content-encoding.")
    content = _allowed_body(_decoded(await _received(receive)))
    if key:
        mirrorfleet_names.names.prepare(content, scope["path"], key)
    body = _encoded(content)
    is_read = False

    async def replay() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return _with_allowed_headers(scope, body), replay


def _allowed_body(body: Any) -> dict[str, Any]:
    """Return the allowed fields of a body. Raises ``Refused``."""
    if not isinstance(body, dict):
        raise Refused(400, "The body is not a JSON object.")
    if refused := sorted(allowlist.REFUSED.intersection(body)):
        raise Refused(400, f"{refused[0]}: this gateway doesn't take this parameter.")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Refused(400, "model: name a model.")
    _check_form(body)
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        body["metadata"] = _allowed_fields(metadata, allowlist.METADATA, "metadata.")
    elif metadata is not None:
        raise Refused(400, "metadata: expected an object.")
    return _allowed_fields(body, allowlist.FIELDS, "")


def _check_form(body: dict[str, Any]) -> None:
    """Raise ``Refused`` for what is no request of the Messages API.

    An exception in a hook of LiteLLM would be a failure of the model, and a fallback would answer.
    """
    messages, tools = body.get("messages"), body.get("tools") or []
    for name, value in (("messages", messages), ("tools", tools)):
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise Refused(400, f"{name}: expected a list of objects.")
    for name in ("thinking", "output_config"):
        if not isinstance(body.get(name) or {}, dict):
            raise Refused(400, f"{name}: expected an object.")


def _allowed_fields(value: dict[str, Any], allowed: frozenset[str], where: str) -> dict[str, Any]:
    for name in value.keys() - allowed:
        if name not in _logged and len(_logged) < 100:
            _logged.add(name)
            log.error("mirrorfleet: the field %r is left out of requests", where + name[:60])
    return {name: inner for name, inner in value.items() if name in allowed}


async def _received(receive: Receive) -> bytes:
    """Return the whole body. Raises ``ConnectionResetError`` if the client disconnects early."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionResetError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > allowlist.LIMIT:
            raise Refused(413, f"The body has more than {allowlist.LIMIT} bytes.")
        if not message.get("more_body"):
            return b"".join(parts)


def _decoded(body: bytes) -> Any:
    """Parse JSON; the last of several equal names wins. Raises ``Refused``."""
    import orjson

    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:  # orjson rejects half of a surrogate pair, which a truncated text can end with
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not JSON.") from None


def _no_number(text: str) -> None:
    raise ValueError(text)


def _encoded(body: dict[str, Any]) -> bytes:
    """Return a body as JSON. Raises ``Refused``."""
    import orjson

    try:
        text: bytes = orjson.dumps(body)
        return text
    except TypeError:  # half of a surrogate pair, which LiteLLM refuses, or a very large number
        pass
    try:
        encoded = json.dumps(body, ensure_ascii=False).encode("utf-16", "surrogatepass")
    except RecursionError:
        raise Refused(400, "The body is nested too deeply.") from None
    return encoded.decode("utf-16", "replace").encode()


def _presented(headers: Iterable[Header]) -> str:
    """Return the key of a request, as LiteLLM finds it; "" if there is none."""
    found = {name: value.decode("latin-1") for name, value in reversed(list(headers))}
    for name in allowlist.CREDENTIALS:
        if value := found.get(name, "").strip():
            kind, _, token = value.partition(" ")
            return token.strip() if kind.lower() == "bearer" else value
    return ""


def _without_key(headers: Iterable[Header]) -> list[Header]:
    return [header for header in headers if header[0] not in allowlist.CREDENTIALS]


def _with_key(headers: Iterable[Header], key: str) -> list[Header]:
    return [*_without_key(headers), (b"authorization", b"Bearer " + key.encode("latin-1"))]


def _with_allowed_headers(scope: Scope, body: bytes | None = None) -> Scope:
    """Return a request with the allowed headers and query, and the headers of a new body."""
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if name in allowlist.HEADERS
        or name == b"authorization"
        or (
            name.startswith(allowlist.ALLOWED_PREFIXES)
            and not name.startswith(allowlist.REFUSED_PREFIXES)
        )
    ]
    if body is not None:
        headers += [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = urlencode([(name, value) for name, value in query if name in allowlist.QUERY])
    return {**scope, "headers": headers, "query_string": kept.encode()}


async def _refuse(scope: Scope, send: Send, refused: Refused) -> None:
    """Send an error in the form of Anthropic's API."""
    REFUSED_REQUESTS.labels(str(refused.code)).inc()
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    kind = KINDS.get(refused.code, "invalid_request_error")
    error = {"type": "error", "error": {"type": kind, "message": str(refused)}}
    body = json.dumps(error).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": refused.code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def install() -> None:
    """Filter every request of this worker. Raises ``RuntimeError``, so that the worker stops."""
    from litellm.proxy.proxy_server import app

    if app.middleware_stack is None:
        raise RuntimeError("LiteLLM calls its startup hooks before it builds its middleware")
    app.middleware_stack = filtered(app.middleware_stack)
