"""A store of models in the format of OLLAMA_MODELS, and a registry that serves it."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.standins.ollama.store import MODEL, PARAMETERS, split

CONFIG = "application/vnd.docker.container.image.v1+json"


def write(directory: Path, tag: str, weights: bytes = b"GGUF weights", **config: Any) -> str:
    """Add a model to a store, and return its digest, as /api/tags has it."""
    config = {"model_format": "gguf", "capabilities": ["completion", "tools"], **config}
    layers = [
        _layer(directory, MODEL, weights),
        _layer(directory, PARAMETERS, b'{"temperature":0.7}'),
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": _layer(directory, CONFIG, json.dumps(config).encode()),
        "layers": layers,
    }
    path = directory.joinpath("manifests", *split(tag))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without spaces, as Go writes JSON.
    path.write_text(json.dumps(manifest, separators=(",", ":")), "utf-8")
    return sha256(path.read_bytes()).hexdigest()


def _layer(directory: Path, kind: str, content: bytes) -> dict[str, Any]:
    digest = sha256(content).hexdigest()
    path = directory / "blobs" / f"sha256-{digest}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}


@contextmanager
def registry(store: Path, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve the models `registry.ollama.ai/…` of a store, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, _, namespace, model, kind, name = self.path.split("/")
            files = {
                "manifests": store / "manifests/registry.ollama.ai" / namespace / model / name,
                "blobs": store / "blobs" / name.replace(":", "-"),
            }
            path = files[kind]
            content = path.read_bytes() if path.is_file() else b""
            self.send_response(200 if path.is_file() else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
