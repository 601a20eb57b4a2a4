"""A stand-in for vLLM's HTTP API, with the faults of broken engines.

The lab uses the real vLLM.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

CALL = [{"type": "tool_use", "id": "1", "name": "Bash", "input": {"command": "echo ready"}}]

METRICS = """\
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{{block_size="128",engine="0",kv_cache_max_concurrency="{windows}",\
kv_cache_size_tokens="{tokens}"}} 1.0
"""


def says(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}]


@dataclass
class Engine:
    """The answers of an engine, ``forced`` to a forced tool call, and the requests (``asked``)."""

    window: int = 131072
    tokens: int = 262144
    content: list[dict[str, Any]] = field(default_factory=lambda: CALL)
    forced: list[dict[str, Any]] = field(default_factory=lambda: CALL)
    stop: str = "tool_use"
    status: int = 200
    cut: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)

    def get(self, path: str) -> str:
        if path == "/metrics":
            return METRICS.format(tokens=self.tokens, windows=self.tokens / self.window)
        return json.dumps({"data": [{"id": "tiny", "max_model_len": self.window}]})

    def message(self, body: dict[str, Any]) -> str:
        self.asked.append(body)
        content = self.forced if "tool_choice" in body else self.content
        if not body["stream"]:
            return json.dumps({"type": "message", "content": content, "stop_reason": self.stop})
        events = [event for block in content for event in _block(block)]
        events.append({"type": "message_delta", "delta": {"stop_reason": self.stop}})
        events += [] if self.cut else [{"type": "message_stop"}]
        return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)


def _block(block: dict[str, Any]) -> list[dict[str, Any]]:
    kind, key = (
        ("text_delta", "text") if block["type"] == "text" else ("input_json_delta", "partial_json")
    )
    content = block["text"] if block["type"] == "text" else json.dumps(block["input"])
    start = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
    middle = len(content) // 2
    halves = (content[:middle], content[middle:])
    return [
        {"type": "content_block_start", "content_block": start},
        *({"type": "content_block_delta", "delta": {"type": kind, key: half}} for half in halves),
        {"type": "content_block_stop"},
    ]


@contextmanager
def served(engine: Engine) -> Iterator[str]:
    """Serve on a free port of loopback, and yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(engine.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(engine.message(json.loads(body)))

        def _answer(self, text: str) -> None:
            self.send_response(engine.status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
