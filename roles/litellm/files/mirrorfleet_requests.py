"""Filter requests before they reach LiteLLM: nothing passes without a key.

LiteLLM has about a thousand routes. Some need no key, and many read a model, an address or a key
from a header, the query or a field of the body, so no list of what to refuse is complete. This
filter runs before all routes and lets pass what mirrorfleet_allowlist.py names:

- without a key: health probes;
- with a developer's key: turns and token counts, as JSON by POST, the list of models and the own
  usage by GET,
  with the allowed headers, query and fields. LiteLLM receives the body as it was parsed here, so
  the model that the key is checked for is the model that gets the request, also if
  mirrorfleet_names.py renames it. Some groups' keys also open OpenAI's API
  (mirrorfleet_openai.py) and MCP servers;
- with the master key: everything;
- with a virtual key, if LiteLLM's database knows it: everything that LiteLLM allows. The
  passthrough to Anthropic is filtered as for a developer's key.

Errors have the form of the API that was requested. A refused parameter is a 400, with a line in the
log. Any other unlisted field is left out, with one line in the log per field and worker.

What follows finds the name and the group of the key's holder in `mirrorfleet_caller` of the scope,
and the model of a turn in `mirrorfleet_model`.

LiteLLM calls `install` in every worker when it starts (LITELLM_WORKER_STARTUP_HOOKS).
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import mirrorfleet_auth
from mirrorfleet_auth import KINDS, NO_DATABASE, Key, Refused, Unknown, decide
from prometheus_client import Counter

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mirrorfleet.roles.litellm.files import mirrorfleet_allowlist as allowlist
    from mirrorfleet.roles.litellm.files import mirrorfleet_body as body
    from mirrorfleet.roles.litellm.files import mirrorfleet_clients as clients
    from mirrorfleet.roles.litellm.files import mirrorfleet_headers as request_headers
    from mirrorfleet.roles.litellm.files import mirrorfleet_names
    from mirrorfleet.roles.litellm.files import mirrorfleet_openai as openai
else:
    import mirrorfleet_allowlist as allowlist
    import mirrorfleet_body as body
    import mirrorfleet_clients as clients
    import mirrorfleet_headers as request_headers
    import mirrorfleet_names
    import mirrorfleet_openai as openai

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
            await app(
                {**scope, "headers": request_headers.without_key(scope["headers"])}, receive, send
            )
            return
        key: Key | None = None
        try:
            presented = request_headers.presented(scope["headers"])
            key = await _key(presented, scope["path"])
            scope = {**scope, "headers": request_headers.with_key(scope["headers"], presented)}
            if key is None:
                if scope["path"].startswith(allowlist.PASSTHROUGH):
                    scope, receive = await _filtered_turn(scope, receive)
            else:
                scope = {**scope, "mirrorfleet_caller": (key.name, key.group)}
                if key.role != "admin":
                    scope, receive = await _filtered_request(scope, receive, key)
                    scope[allowlist.KEY] = key
        except Refused as refused:
            if refused.code < 500 and key is not None:
                request = scope.get("method", "websocket"), scope["path"], key.name
                log.error("mirrorfleet: %s %r of %s is refused: %s", *request, refused)
            await refuse(scope, send, refused)
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
    if scope["path"] in allowlist.LISTS:
        if scope["method"] != "GET":
            raise Refused(405, f"{scope['path']} takes GET.")
        return request_headers.with_allowed_headers(scope), receive
    if scope["path"].startswith(clients.MCP):
        return await _filtered_mcp(scope, receive)
    return await _filtered_turn(scope, receive, key)


async def _filtered_mcp(scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
    """Return a message to an MCP server, or the end of a session. Raises ``Refused``.

    Servers send nothing unasked: a stream for it would be bound to one worker.
    """
    if scope["method"] == "DELETE":
        return request_headers.with_allowed_headers(scope), receive
    if scope["method"] != "POST":
        raise Refused(405, f"{scope['path']} takes POST and DELETE.")
    _check_type(scope)
    content = await body.received(receive)
    if not isinstance(content, dict | list):
        raise Refused(400, "The body is no JSON-RPC message.")
    return _with_body(scope, receive, content)


async def _filtered_turn(
    scope: Scope, receive: Receive, key: Key | None = None
) -> tuple[Scope, Receive]:
    """Return the allowed part of a turn or a token count. Raises ``Refused``.

    Without a key, which a virtual key has not, the model is the one that was requested.
    """
    if scope["type"] != "http" or scope["method"] != "POST":
        raise Refused(405, f"{scope['path']} takes POST.")
    _check_type(scope)
    path = scope["path"]
    content = _allowed_body(await body.received(receive), path)
    if key:
        mirrorfleet_names.names.prepare(content, path, key)
    if path in openai.FIELDS:
        searches = mirrorfleet_names.names.searches_itself(content["model"])
        openai.prepare(path, content, searches, _log_left_out)
    return _with_body({**scope, allowlist.REQUESTED: content["model"]}, receive, content)


def _check_type(scope: Scope) -> None:
    """Raise ``Refused`` for a body that is not JSON without encoding."""
    kinds = [value for header, value in scope["headers"] if header == b"content-type"]
    if [kind.partition(b";")[0].strip().lower() for kind in kinds] != [b"application/json"]:
        raise Refused(415, "Send the body as application/json.")
    if any(header == b"content-encoding" for header, _ in scope["headers"]):
        raise Refused(415, "Send the body without content-encoding.")


def _with_body(scope: Scope, receive: Receive, content: Any) -> tuple[Scope, Receive]:
    """Return a request with a new body."""
    encoded = body.encoded(content)
    is_read = False

    async def replay() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": encoded, "more_body": False}

    return request_headers.with_allowed_headers(scope, encoded), replay


def _allowed_body(content: Any, path: str) -> dict[str, Any]:
    """Return the allowed fields of a body. Raises ``Refused``."""
    if not isinstance(content, dict):
        raise Refused(400, "The body is not a JSON object.")
    if refused := sorted(allowlist.REFUSED.intersection(content)):
        raise Refused(400, f"{refused[0]}: this gateway doesn't take this parameter.")
    if not isinstance(content.get("model"), str) or not content["model"]:
        raise Refused(400, "model: name a model.")
    if path in openai.FIELDS:
        openai.check(path, content)
    else:
        _check_form(content)
    metadata = content.get("metadata")
    if isinstance(metadata, dict):
        content["metadata"] = _allowed_fields(metadata, allowlist.METADATA, "metadata.")
    elif metadata is not None:
        raise Refused(400, "metadata: expected an object.")
    return _allowed_fields(content, openai.FIELDS.get(path, allowlist.FIELDS), "")


def _check_form(content: dict[str, Any]) -> None:
    """Raise ``Refused`` for what is no request of the Messages API.

    An exception in a hook of LiteLLM would be a failure of the model, and a fallback would answer.
    """
    messages, tools = content.get("messages"), content.get("tools") or []
    for name, value in (("messages", messages), ("tools", tools)):
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise Refused(400, f"{name}: expected a list of objects.")
    for name in ("thinking", "output_config"):
        if not isinstance(content.get(name) or {}, dict):
            raise Refused(400, f"{name}: expected an object.")


def _allowed_fields(value: dict[str, Any], allowed: frozenset[str], where: str) -> dict[str, Any]:
    for name in value.keys() - allowed:
        _log_left_out(where + name[:60])
    return {name: inner for name, inner in value.items() if name in allowed}


def _log_left_out(name: str) -> None:
    if name not in _logged and len(_logged) < 100:
        _logged.add(name)
        log.error("mirrorfleet: the field %r is left out of requests", name)


async def refuse(scope: Scope, send: Send, refused: Refused) -> None:
    """Send an error in the form of the API that was requested."""
    REFUSED_REQUESTS.labels(str(refused.code)).inc()
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    kind = refused.kind or KINDS.get(refused.code, "invalid_request_error")
    error: dict[str, Any] = {"type": "error", "error": {"type": kind, "message": str(refused)}}
    if scope["path"] in openai.FIELDS:
        error = openai.error(refused.code, kind, str(refused))
    body = json.dumps(error).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *((name.encode(), value.encode()) for name, value in refused.headers.items()),
    ]
    await send({"type": "http.response.start", "status": refused.code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def install() -> None:
    """Filter every request of this worker. Raises ``RuntimeError``, so that the worker stops."""
    from litellm.proxy.proxy_server import app

    if app.middleware_stack is None:
        raise RuntimeError("LiteLLM calls its startup hooks before it builds its middleware")
    app.middleware_stack = filtered(app.middleware_stack)
