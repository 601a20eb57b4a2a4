"""A stand-in for every provider and engine: it records requests, and answers "pong".

It replaces every address of a gateway under test. The first part of the path is the name of the
real host: /api.anthropic.com/v1/messages.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from tests.roles.recorder import ANSWER

SLOW = "slow"
"""A prompt with this word is answered after some seconds."""

FORBIDDEN = "forbidden"
"""A prompt with this word is refused by every guardrail."""

OVERLONG = "overlong"
"""A prompt with this word is too long for the engine ``Upstream.small``."""

TOO_LONG = (
    "This model's maximum context length is 262144 tokens. However, your prompt contains at least "
    "262145 input tokens, which exceeds this limit even without any output tokens. Please reduce "
    "the length of the input prompt."
)
"""The error of vLLM 0.32 for it."""

SEARCH_TOOL = "litellm_web_search"
"""The tool in place of Anthropic's web search; a model that gets it calls it once."""

FILTERED = "filtered"
"""A prompt with this word is refused by the content filter of an Azure deployment."""

CONTENT_FILTER = {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content "
    "management policy. Please modify your prompt and retry. To learn more about our content "
    "filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation"},
}


@dataclass(frozen=True)
class Asked:
    """A recorded request; ``host`` is the real host of its address."""

    host: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Upstream:
    """The stand-in: recorded requests, and its faults.

    ``hung_up`` counts clients that disconnected before a slow answer. ``down`` is the host of an
    upstream that fails, ``small`` that of an engine with a small window. ``search`` is the URL of a
    search service. ``events`` returns the events of a streamed answer to a body, ``chunks`` those
    of a chat of OpenAI's API, ``responses`` the events of one of its responses.
    """

    url: str
    asked: list[Asked] = field(default_factory=list)
    hung_up: int = 0
    patience: float = 7
    is_down: bool = False
    down: str = ""
    small: str = ""
    search: str = ""
    events: Callable[[Any], Any] = lambda _: ANSWER
    chunks: Callable[[Any], Any] | None = None
    responses: Callable[[Any], Any] | None = None

    def instead_of(self, url: str) -> str:
        """Return the URL of the stand-in for a real one."""
        real = urlsplit(url)
        return f"{self.url}/{real.netloc}{real.path}"

    @contextmanager
    def changed(self, **faults: Any) -> Iterator[None]:
        """Change faults or answers during the block: all tests of a process share the stand-in."""
        before = {name: getattr(self, name) for name in faults}
        self.__dict__.update(faults)
        try:
            yield
        finally:
            self.__dict__.update(before)

    def taken(self) -> list[Asked]:
        """Return the requests since the last call."""
        taken, self.asked[:] = list(self.asked), []
        return taken


@contextmanager
def upstream(address: str = "127.0.0.1", port: int = 0) -> Iterator[Upstream]:
    """Serve the stand-in during the block, at a free port by default."""
    server = _Server((address, port), _Handler)
    _Handler.upstream = Upstream(f"http://{address}:{server.server_port}")
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield _Handler.upstream
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Log nothing: a gateway disconnects when it stops, or at its timeout."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: Upstream

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"] or 0))
        is_form = (self.headers["Content-Type"] or "").startswith("multipart/")
        body = {"form": content.decode("latin-1")} if is_form else json.loads(content or b"{}")
        host, _, path = self.path.lstrip("/").partition("/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.upstream.asked.append(Asked(host, f"/{path}", headers, body))
        if SLOW in json.dumps(body):
            self._wait()
        if self.upstream.is_down or host == self.upstream.down:
            self.send_error(503)
        elif host == self.upstream.small and OVERLONG in json.dumps(body):
            error = {"type": "BadRequestError", "message": TOO_LONG}
            self._send({"type": "error", "error": error}, 400)
        elif "azure" in host and FILTERED in json.dumps(body):
            self._send({"error": CONTENT_FILTER}, 400)
        elif body.get("stream") and path.endswith("v1/messages"):
            self._stream(self.upstream.events(body))
        elif body.get("stream") and self.upstream.responses and path.endswith("/responses"):
            self._stream(self.upstream.responses(body))
        elif body.get("stream") and self.upstream.chunks and path.endswith("chat/completions"):
            self._stream_chunks(self.upstream.chunks(body))
        else:
            self._send(_answer(f"/{path}", body))

    def _stream_chunks(self, chunks: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        if chunk["choices"] == []:  # the last one has the usage; without it, the stream is broken
            self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _stream(self, events: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in events:
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        self.close_connection = True

    def _wait(self) -> None:
        """Wait before a slow answer, and count a client that disconnects."""
        end = time.monotonic() + self.upstream.patience
        while time.monotonic() < end:
            readable, _, _ = select.select([self.connection], [], [], 0.1)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                self.upstream.hung_up += 1
                raise ConnectionResetError

    def _send(self, answer: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Log nothing: requests are recorded."""


def _has_to_search(body: Any) -> bool:
    """Return whether a model has to call LiteLLM's tool for a web search, or did not yet."""
    tools = body.get("tools", ()) if isinstance(body, dict) else ()
    if SEARCH_TOOL not in map(_tool_name, tools):
        return False
    forced = (body.get("tool_choice") or {}).get("type") == "tool"
    return forced or "tool_result" not in json.dumps(body)


def _tool_name(tool: dict[str, Any]) -> Any:
    return tool.get("name") or tool.get("function", {}).get("name")


def _answer(path: str, body: Any) -> dict[str, Any]:
    model = body.get("model", "") if isinstance(body, dict) else ""
    if "guardrail" in path:
        return {"action": "BLOCKED" if FORBIDDEN in json.dumps(body) else "NONE"}
    if "count_tokens" in path:
        return {"input_tokens": 7}
    if path == "/api/chat":
        answer = {"role": "assistant", "content": "pong"}
        counts = {"prompt_eval_count": 3, "eval_count": 1}
        return {"model": model, "message": answer, "done": True, "done_reason": "stop", **counts}
    if path.endswith("/embeddings"):
        vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        return {"object": "list", "data": [vector], "model": model, "usage": usage}
    if "/images/" in path:
        return {"created": 1, "data": [{"b64_json": "cG9uZw=="}]}
    if "/audio/" in path:
        return {"text": "pong"}
    if "/chat/completions" in path:
        message = {"role": "assistant", "content": "pong"}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "service_tier": "on_demand",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        }
    if path.split("?")[0].endswith("/responses"):
        text = {"type": "output_text", "text": "pong", "annotations": []}
        message = {"id": "m", "type": "message", "role": "assistant", "status": "completed"}
        return {
            "id": "r",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": model,
            "output": [{**message, "content": [text]}],
            "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
        }
    content: dict[str, Any] = {"type": "text", "text": "pong"}
    if _has_to_search(body):
        query = {"query": "mirrorfleet release"}
        content = {"type": "tool_use", "id": "toolu_1", "name": SEARCH_TOOL, "input": query}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [content],
        "stop_reason": content["type"].replace("text", "end_turn"),
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
