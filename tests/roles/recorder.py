"""A stand-in for a gateway that records the requests of Claude Code and answers with one word.

A test can make it call a tool first, or fail.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"input_tokens": 1, "output_tokens": 1}
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
ANSWER: tuple[dict[str, Any], ...] = (
    {"type": "message_start", "message": MESSAGE | {"stop_reason": None, "usage": USAGE}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "heard"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE},
    {"type": "message_stop"},
)

Body = dict[str, Any]
Answer = tuple[dict[str, Any], ...] | int | str
"""The events of an answer, the HTTP status of an error, or the message of a 400."""


def calls(name: str, **given: Any) -> Callable[[Body], Answer]:
    """Return answers that call a tool once if it is offered, and then answer with one word."""

    def answer(body: Body) -> Answer:
        offered = any(tool.get("name") == name for tool in body.get("tools", ()))
        blocks = [block for message in body["messages"] for block in message["content"]]
        if not offered or any(map(_is_result, blocks)):
            return ANSWER
        call = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(given)}
        return (
            ANSWER[0],
            {"type": "content_block_start", "index": 0, "content_block": call},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            ANSWER[3],
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": USAGE},
            ANSWER[5],
        )

    return answer


def _is_result(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_result"


@dataclass
class Recorder:
    """``asked`` holds the bodies of requests and, as ``keys``, the credentials of each.

    ``headers`` holds the headers of each, ``targets`` the path with its query.
    """

    url: str = ""
    asked: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    answer: Callable[[Body], Answer] = lambda _: ANSWER


@contextmanager
def recorder(tls: ssl.SSLContext | None = None) -> Iterator[Recorder]:
    """Run the stand-in on a free port of this machine, with TLS if it gets a context."""
    found = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_error(404)

        do_HEAD = do_GET

        def _refuse(self, message: str) -> None:
            error = {"type": "invalid_request_error", "message": message}
            self._send({"type": "error", "error": error}, 400)

        def _send(self, answer: dict[str, Any], status: int) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            keys = (self.headers["authorization"], self.headers["x-api-key"])
            found.asked.append(body | {"keys": keys})
            found.headers.append({name.lower(): value for name, value in self.headers.items()})
            found.targets.append(self.path)
            if "/count_tokens" in self.path:
                self._send({"input_tokens": 7}, 200)
                return
            answer = found.answer(body)
            if isinstance(answer, int):
                self.send_error(answer)
                return
            if isinstance(answer, str):
                self._refuse(answer)
                return
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for event in answer:
                text = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                self.wfile.write(text.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
