"""Models whose manifest comes from the controller: a module of model_manager.py.

Ollama has no request that writes a manifest: it only pulls one from a registry. So this program is
that registry for a moment, on the loopback address. The server already has the blobs, which
``give`` sent: it checked the SHA-256 of each, and pulls none of them again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mirrorfleet.roles.ollama.files.ollama_server import Failure, Server

PUSHED = "/mirrorfleet/pushed:latest"
"""The name of the model in that registry, after its address."""


def adopt(server: Server, name: str, tag: str, manifest: str) -> None:
    """Give the server a manifest under a tag. Raises ``Failure``."""
    with _registry(manifest.encode()) as address:
        pulled = address + PUSHED
        try:
            # `insecure` is Ollama's word for plain HTTP.
            for _ in server.stream("/api/pull", {"model": pulled, "insecure": True}):
                pass
        except Failure as failure:
            raise Failure(
                f"{name}: Ollama does not take {tag} from its uploaded files: {failure}. Run again."
            ) from None
    server.rename(pulled, tag)


def is_leftover(name: str) -> bool:
    """Return whether an interrupted run left a model under this name."""
    return name.startswith("127.0.0.1:") and name.endswith(PUSHED)


@contextmanager
def _registry(manifest: bytes) -> Iterator[str]:
    """Serve a manifest on a free port, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_manifest = self.path == "/v2/mirrorfleet/pushed/manifests/latest"
            self.send_response(200 if is_manifest else 404)
            content = manifest if is_manifest else b""
            self.send_header("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Docker-Content-Digest", f"sha256:{sha256(content).hexdigest()}")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

        def address_string(self) -> str:
            return "the server"

    registry = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=registry.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{registry.server_address[1]}"
    finally:
        registry.shutdown()
        registry.server_close()
