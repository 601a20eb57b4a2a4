"""The server of Echo: it repeats the last message, in its voice."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL, WINDOW = os.environ["ECHO_MODEL"], int(os.environ["ECHO_WINDOW"])


class Handler(BaseHTTPRequestHandler):
    """Answers requests with the key of the environment."""

    def do_GET(self) -> None:
        answers: dict[str, dict[str, Any]] = {
            "/alive": {},
            "/voices": {"voices": {MODEL: WINDOW}},
        }
        if self.path != "/alive" and not self.is_allowed():
            self.answer(401, {"error": "key"})
        elif self.path in answers:
            self.answer(200, answers[self.path])
        else:
            self.answer(404, {"error": "path"})

    def do_POST(self) -> None:
        if not self.is_allowed():
            return self.answer(401, {"error": "key"})
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = str(request["messages"][-1]["content"])
        text = text.upper() if os.environ["ECHO_VOICE"] == "loud" else text
        message = {"role": "assistant", "content": text}
        return self.answer(200, {"choices": [{"message": message, "finish_reason": "stop"}]})

    def is_allowed(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {os.environ['ECHO_KEY']}"

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    address = (os.environ["ECHO_LISTEN"], int(os.environ["ECHO_PORT"]))
    ThreadingHTTPServer(address, Handler).serve_forever()
