#!/usr/bin/env python3
"""A stand-in for a model hub: the few requests that huggingface_hub makes for a download.

    hub.py DIRECTORY ADDRESS PORT [BYTES_PER_SECOND]

DIRECTORY/OWNER/NAME/REVISION holds the files. As on the real hub, large files are listed with their
SHA-256, and are served with ranges from another address after a redirect. Small files are listed
with their git hash.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

LARGE = 4096
"""Minimum size of a large file in bytes."""

CHUNK = 16 * 1024


@dataclass
class Hub:
    """The files of a hub, and its faults.

    ``sent`` holds name, first byte and credential of each response with a file. ``breaks``,
    ``stalls`` and ``corrupts`` map the name of a file to the number of bytes after which its
    connection breaks (once), or stalls, and to the number of corrupted responses. ``branches`` maps
    a branch to its revision. ``speed`` is that of the hub's line in bytes per second; 0: no limit.
    """

    directory: Path
    url: str = ""
    token: str = ""
    gated: bool = False
    speed: int = 0
    breaks: dict[str, int] = field(default_factory=dict)
    stalls: dict[str, int] = field(default_factory=dict)
    corrupts: dict[str, int] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    sent: list[tuple[str, int, str | None]] = field(default_factory=list)
    _free_at: float = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_for_line(self, count: int) -> None:
        """Wait as long as ``count`` bytes take on a line that all connections share."""
        if self.speed:
            with self._lock:
                self._free_at = max(self._free_at, time.monotonic()) + count / self.speed
                wait = self._free_at - time.monotonic()
            time.sleep(max(wait, 0))


def listing(directory: Path) -> list[dict[str, Any]]:
    """Return the response of /api/models/…/tree/REVISION."""
    found: list[dict[str, Any]] = []
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_dir():
            found.append({"type": "directory", "oid": "0" * 40, "size": 0, "path": name})
            continue
        content = path.read_bytes()
        git = sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        entry = {"type": "file", "oid": git, "size": len(content), "path": name}
        if len(content) >= LARGE:
            digest = sha256(content).hexdigest()
            entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
        found.append(entry)
    return found


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            parts = path.strip("/").split("/")
            match [hub.branches.get(part, part) for part in parts]:
                case ["api", "models", owner, name, "tree", revision]:
                    if directory := self.files(owner, name, revision):
                        self.send(200, json.dumps(listing(directory)).encode())
                case [owner, name, "resolve", revision, *file]:
                    if directory := self.files(owner, name, revision):
                        self.resolve(directory / "/".join(file), revision)
                case ["cdn", owner, name, revision, *file]:
                    self.content(hub.directory / owner / name / revision / "/".join(file))
                case _:
                    self.send(404, b"{}")

        def files(self, owner: str, name: str, revision: str) -> Path | None:
            """Return the directory of a revision, or send the real hub's error."""
            repository = hub.directory / owner / name
            credential = self.headers["Authorization"]
            if hub.token and credential != f"Bearer {hub.token}":
                code = "GatedRepo" if hub.gated else "RepoNotFound"
                self.send(401, b'{"error": "no"}', {"X-Error-Code": code})
            elif not repository.is_dir():
                self.send(404, b'{"error": "no"}', {"X-Error-Code": "RepoNotFound"})
            elif not (repository / revision).is_dir():
                self.send(404, b'{"error": "no"}', {"X-Error-Code": "RevisionNotFound"})
            else:
                return repository / revision
            return None

        def resolve(self, file: Path, revision: str) -> None:
            if not file.is_file():
                self.send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            elif file.stat().st_size < LARGE:
                self.content(file, {"X-Repo-Commit": revision})
            else:
                place = f"/cdn/{quote(str(file.relative_to(hub.directory)))}?signature=1"
                etag = f'"{sha256(file.read_bytes()).hexdigest()}"'
                size = str(file.stat().st_size)
                headers = {"Location": place, "X-Linked-ETag": etag, "X-Linked-Size": size}
                self.send(302, b"", {**headers, "X-Repo-Commit": revision})

        def content(self, file: Path, headers: dict[str, str] | None = None) -> None:
            content = bytearray(file.read_bytes())
            first = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").split("-")[0])
            hub.sent.append((file.name, first, self.headers["Authorization"]))
            if self.command == "GET":
                print(f"{file.name} from {first}", flush=True)
            if hub.corrupts.get(file.name, 0):
                hub.corrupts[file.name] -= 1
                content[-1] ^= 1
            ranged = f"bytes {first}-{len(content) - 1}/{len(content)}"
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(content) - first))
            self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
            self.send_header("Accept-Ranges", "bytes")
            for name, value in {**(headers or {}), "Content-Range": ranged}.items():
                if first or name != "Content-Range":
                    self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            end = min(hub.breaks.pop(file.name, len(content)), len(content))
            for at in range(first, end, CHUNK):
                if at >= hub.stalls.get(file.name, len(content)):
                    threading.Event().wait(60)
                self.wfile.write(content[at : min(at + CHUNK, end)])
                hub.wait_for_line(CHUNK)
            self.close_connection = end < len(content)

        def send(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler


@contextmanager
def running(hub: Hub, address: str = "127.0.0.1", port: int = 0) -> Iterator[Hub]:
    """Serve the hub during the block."""
    server = ThreadingHTTPServer((address, port), handler(hub))
    server.daemon_threads = True
    hub.url = f"http://{address}:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    directory, address, port, *speed = sys.argv[1:]
    with running(Hub(Path(directory), speed=int(*speed)), address, int(port)):
        threading.Event().wait()
