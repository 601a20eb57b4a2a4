"""A stand-in for SearXNG with its JSON: GET /search?q=…&format=json, as searx/webapp.py answers.

The names of the fields are those of SearXNG's own answer. As in its default settings, a request
without `format=json` gets a page of HTML, and an instance without the format answers 403.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TITLE, ADDRESS = "Mirrorfleet 0.2", "https://mirrorfleet.example.com/news"
SNIPPET = "Mirrorfleet 0.2 was released on a Sunday."


@dataclass
class SearXNG:
    """The stand-in: the queries and the keys that it got. ``status`` is that of each answer."""

    url: str = ""
    queries: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    status: int = 200


@contextmanager
def searxng(address: str = "127.0.0.1", port: int = 0) -> Iterator[SearXNG]:
    """Serve the stand-in at an address of this machine during the block, by default a free one."""
    found = SearXNG()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = parse_qs(parts.query)
            if parts.path != "/search" or asked.get("format") != ["json"]:
                self.send_error(404)
                return
            [query] = asked["q"]
            found.queries.append(query)
            found.keys.append(self.headers["authorization"])
            if found.status != 200:
                self.send_error(found.status)
                return
            content = json.dumps(_answer(query)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer((address, port), Handler)
    found.url = f"http://{address}:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def _answer(query: str) -> dict[str, Any]:
    result = {
        "url": ADDRESS,
        "title": TITLE,
        "content": SNIPPET,
        "publishedDate": None,
        "thumbnail": "",
        "engine": "duckduckgo",
        "template": "default.html",
        "parsed_url": ["https", "mirrorfleet.example.com", "/news", "", "", ""],
        "img_src": "",
        "priority": "",
        "engines": ["duckduckgo", "brave"],
        "positions": [1, 2],
        "score": 3.0,
        "category": "general",
    }
    return {
        "query": query,
        "number_of_results": 0,
        "results": [result],
        "answers": [],
        "corrections": [],
        "infoboxes": [],
        "suggestions": [],
        "unresponsive_engines": [["google", "timeout"]],
    }
