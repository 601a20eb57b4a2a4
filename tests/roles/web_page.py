"""A web page by HTTPS on this machine: WebFetch reads no page without it."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

TITLE = "About soap"
PAGE = f"<html><body><h1>{TITLE}</h1><p>{'Wash your hands. ' * 9000}</p></body></html>".encode()
"""More than the 100,000 characters that WebFetch sends to a model."""


@dataclass(frozen=True)
class WebPage:
    """The address of a page, and the file with the certificate that a client has to trust."""

    url: str
    certificate: Path


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def web_page(place: Path) -> Iterator[WebPage]:
    """Serve the page during the block, with a certificate in ``place``."""
    certificate, key = place / "certificate.pem", place / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield WebPage(f"https://127.0.0.1:{server.server_port}/soap", certificate)
    finally:
        server.shutdown()
        server.server_close()
