"""A stand-in for an engine that already runs: it answers each path as it is set to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

LISTED = {"data": [{"id": "tiny", "max_model_len": 131072}]}

CALL = {
    "content": [{"type": "tool_use", "id": "1", "name": "Bash", "input": {"command": "echo"}}],
    "stop_reason": "tool_use",
}

CHAT_CALL = {
    "choices": [
        {
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "Bash"}}],
            }
        }
    ]
}


def text(words: str) -> dict[str, Any]:
    """Return an answer of /v1/messages with these words."""
    return {"content": [{"type": "text", "text": words}], "stop_reason": "end_turn"}


@dataclass
class Running:
    """Answers by path, as JSON or with a status, and the key that it requires.

    An answer can be a function of the request's body.

    ``asked`` has each request: its path, its headers, and its body.
    """

    answers: Mapping[str, Any]
    key: str = ""
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def answer(self, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        self.asked.append((path, headers, body))
        if self.key and headers.get("authorization") != f"Bearer {self.key}":
            return 401, {"error": "Unauthorized"}
        found = self.answers.get(path, (404, {"detail": "Not Found"}))
        found = found(body) if callable(found) else found
        return found if isinstance(found, tuple) else (200, found)


@contextmanager
def served(engine: Running) -> Iterator[str]:
    """Serve on a free port of loopback; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, content = engine.answer(self.path, headers, body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Print nothing: ``asked`` has it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
