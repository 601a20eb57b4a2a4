"""A stand-in for a gateway that writes down what Claude Code sends, and answers one word.

A test may have it call a tool first, or fail.
"""

from __future__ import annotations

import json
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
Answer = tuple[dict[str, Any], ...] | int
"""The events of an answer, or the HTTP status of a refusal."""


def calls(name: str, **given: Any) -> Callable[[Body], Answer]:
    """Return what calls a tool once, wherever it is offered, and says a word to its result."""

    def answer(body: Body) -> Answer:
        offered = any(tool.get("name") == name for tool in body.get("tools", ()))
        blocks = [each for said in body["messages"] for each in said["content"]]
        if not offered or any(_is_result(each) for each in blocks):
            return ANSWER
        block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(given)}
        return (
            ANSWER[0],
            {"type": "content_block_start", "index": 0, "content_block": block},
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
    """``asked`` are the bodies and, under ``keys``, the credentials that came with each."""

    url: str = ""
    asked: list[Body] = field(default_factory=list)
    answer: Callable[[Body], Answer] = lambda _: ANSWER


@contextmanager
def recorder() -> Iterator[Recorder]:
    """Serve on a free port of this machine."""
    found = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_error(404)

        do_HEAD = do_GET

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            keys = (self.headers["authorization"], self.headers["x-api-key"])
            found.asked.append(body | {"keys": keys})
            answer = found.answer(body)
            if isinstance(answer, int):
                self.send_error(answer)
                return
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for event in answer:
                text = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                self.wfile.write(text.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
