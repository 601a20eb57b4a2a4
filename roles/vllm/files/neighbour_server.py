"""Serve verified files of weights to the other hosts of the same model, while a download lasts.

A part of hub_download.py. Both sides of a connection show a certificate that the controller made
for this run and this host: no other program can connect, and none can answer in a host's place.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import unquote

SILENCE = 30
"""Seconds without a byte after which a connection ends."""

BLOCK = 1024**2


class Offer:
    """The files of one model that this host passes on.

    ``key`` names the model and the revision of its weights, ``peers`` the hosts that may ask.
    ``aware`` are those that know that this host has all files: they wait for it no more.
    """

    def __init__(self, key: str, directory: str, peers: Iterable[str]) -> None:
        self.key = key
        self.peers = frozenset(peers)
        self.place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self.verified: frozenset[str] = frozenset()
        self.arrived = 0
        self.is_done = False
        self.aware: set[str] = set()
        self.sent = 0
        self._lock = threading.Lock()

    def add(self, *names: str) -> None:
        """Pass on further files, which were verified."""
        with self._lock:
            self.verified |= {*names}

    def report(self, peer: str) -> bytes:
        """Return what another host needs to know to decide where a file comes from."""
        if self.is_done:
            self.aware.add(peer)
        state = {"files": sorted(self.verified), "arrived": self.arrived, "done": self.is_done}
        return json.dumps(state).encode()

    def opened(self, name: str) -> int | None:
        """Return a file descriptor of a verified file, ``None`` for other names."""
        if name not in self.verified:
            return None
        with suppress(OSError):
            return os.open(name, os.O_RDONLY, dir_fd=self.place)
        return None


def context(share: dict[str, Any], *, server: bool) -> ssl.SSLContext:
    """Return the TLS settings of a side: it shows its certificate, and requires that of the other.

    The key stays in memory: OpenSSL reads it from a file, which has no name.
    """
    purpose = ssl.Purpose.CLIENT_AUTH if server else ssl.Purpose.SERVER_AUTH
    found = ssl.create_default_context(purpose, cadata=share["authority"])
    found.minimum_version = ssl.TLSVersion.TLSv1_3
    found.verify_mode = ssl.CERT_REQUIRED
    memory = os.memfd_create("certificate")
    try:
        os.write(memory, share["certificate"].encode())
        found.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)
    return found


class Handler(BaseHTTPRequestHandler):
    """Answers GET /KEY with a report, and GET /KEY/FILE with the file from the byte of a range."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        key, _, name = unquote(self.path).lstrip("/").partition("/")
        offer = self.server.offers.get(key)
        if offer is None or self._peer() not in offer.peers:
            self._send(404, b"{}")
        elif not name:
            self._send(200, offer.report(self._peer()))
        elif (file := offer.opened(name)) is None:
            self._send(404, b"{}")
        else:
            with os.fdopen(file, "rb", buffering=0) as stream:
                self._file(offer, stream)

    def _peer(self) -> str:
        """Return the host's name in the certificate of the other side."""
        connection: Any = self.connection
        parts = dict(part for [part] in connection.getpeercert()["subject"])
        return str(parts.get("commonName"))

    def _file(self, offer: Offer, stream: Any) -> None:
        size = os.fstat(stream.fileno()).st_size
        digits = self.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
        first = min(int(digits), size) if digits.isdigit() else 0
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(size - first))
        self.end_headers()
        stream.seek(first)
        while block := stream.read(BLOCK):
            self.wfile.write(block)
            offer.sent += len(block)

    def _send(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """The server of one host, for all models whose weights it passes on."""

    daemon_threads = True

    def __init__(self, share: dict[str, Any], offers: Iterable[Offer]) -> None:
        self.offers = {offer.key: offer for offer in offers}
        self.tls = context(share, server=True)
        place = socket.getaddrinfo(share["address"], share["port"], type=socket.SOCK_STREAM)[0]
        self.address_family = place[0]
        super().__init__(place[4][:2], Handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        """Bind without the name of this host, which its base class asks of a resolver."""
        TCPServer.server_bind(self)

    def begin(self) -> None:
        """Answer from now on, until the program ends."""
        threading.Thread(target=self.serve_forever, args=(0.2,), daemon=True).start()

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(SILENCE)  # in this connection's thread: a silent client delays no other
        with self.tls.wrap_socket(request, server_side=True) as secure:
            Handler(secure, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a connection that broke, or that showed no certificate of this run."""


def complete(directory: str) -> list[str]:
    """Return the files of weights that were verified when they arrived, and have not changed."""
    sizes = Path(directory, ".mirrorfleet/sizes").read_text("utf-8").splitlines()
    found = []
    for line in sizes:
        size, _, name = line.partition(" ")
        with suppress(OSError):
            if str(Path(directory, name).stat().st_size) == size:
                found.append(name)
    return found
