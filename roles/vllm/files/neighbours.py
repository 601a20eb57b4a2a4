"""Decide where each file of weights comes from: another host of the model, or the hub.

A part of hub_download.py. Each file has one host whose turn it is to fetch it from the hub; all
others wait for it, and take it from there. If that host fails, it is the next one's turn. Hosts
that have a file pass it on, so the hub sends each file once. A receiver compares each file with the
digest that the hub lists: it trusts no other host.
"""

from __future__ import annotations

import json
import math
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from random import random
from typing import Any
from urllib.parse import quote

PAUSE = 1.0
"""Seconds between two questions to a host."""

START = 60
"""Seconds in which a host must answer for the first time."""

LOST = 30
"""Seconds without an answer after which a host counts as lost."""

STALLED = 120
"""Seconds without a further byte after which a host's turn passes to the next one."""

SILENCE = 30
"""Seconds without a byte after which a connection counts as broken."""

BLOCK = 1024**2


class Peer:
    """Another host of a model, as its answers show it.

    ``fetches``: it needs files; otherwise it has them all. ``copies`` counts those in transit.
    """

    def __init__(self, name: str, address: str, port: int, *, fetches: bool) -> None:
        self.name, self.address, self.port, self.fetches = name, address, port, fetches
        self.files: frozenset[str] = frozenset()
        self.arrived = -1
        self.is_done = False
        self.copies = 0
        self.began = self.changed = time.monotonic()
        self.seen: float | None = None

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}"

    def connection(self, tls: ssl.SSLContext) -> HTTPSConnection:
        """Return a connection, which is not open yet."""
        return HTTPSConnection(self.address, self.port, timeout=SILENCE, context=tls)

    def take(self, state: Mapping[str, Any]) -> None:
        """Take an answer."""
        self.seen = now = time.monotonic()
        self.files, self.is_done = frozenset(state["files"]), state["done"]
        if state["arrived"] != self.arrived:
            self.arrived, self.changed = state["arrived"], now

    def end(self) -> None:
        """Take that nothing listens on the host: if it answered before, its program has ended."""
        if self.seen is not None:
            self.seen = -math.inf

    @property
    def is_alive(self) -> bool:
        """Return whether the host answers, or may still begin to."""
        now = time.monotonic()
        if self.seen is None:
            return now - self.began < START
        return now - self.seen < LOST

    @property
    def is_expected(self) -> bool:
        """Return whether the host has all files, and may still begin to answer."""
        return not self.fetches and self.seen is None and self.is_alive

    @property
    def is_running(self) -> bool:
        """Return whether the host has answered, and has not ended or been lost since."""
        return self.seen is not None and self.is_alive

    @property
    def can_come(self) -> bool:
        """Return whether the host may still fetch what it needs."""
        return self.is_alive and not self.is_done and time.monotonic() - self.changed < STALLED

    @property
    def needs_files(self) -> bool:
        """Return whether the host needs files, and may still ask for them."""
        return self.fetches and self.is_alive and not self.is_done


class Neighbours:
    """The other hosts of one model. ``names`` are all hosts that need files, in a common order."""

    def __init__(
        self, key: str, me: str, names: Sequence[str], peers: Sequence[Peer], tls: ssl.SSLContext
    ) -> None:
        self.key, self.me, self.names, self.tls = key, me, names, tls
        self.peers = {peer.name: peer for peer in peers}
        self.failed: set[tuple[str, str]] = set()
        self.copied = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Ask all hosts from now on, until the program ends."""
        for peer in self.peers.values():
            threading.Thread(target=self._ask, args=(peer,), daemon=True).start()

    def _ask(self, peer: Peer) -> None:
        """Ask a host again and again. One that does not answer may come back."""
        connection = peer.connection(self.tls)
        while True:
            try:
                connection.request("GET", f"/{quote(self.key)}")
                with connection.getresponse() as answer:
                    body = answer.read()
                if answer.status == 200:
                    peer.take(json.loads(body))
            except ConnectionRefusedError:
                connection.close()
                peer.end()
            except (OSError, HTTPException, ValueError, KeyError, TypeError):
                connection.close()
            time.sleep(PAUSE)

    def source(self, number: int, name: str) -> Peer | str | None:
        """Return where the file ``name`` comes from now: a host, "hub", or ``None`` to wait.

        ``number`` is its position among all files. It decides the order in which hosts fetch it, so
        that each host fetches a part of them.
        """
        holders = [
            peer
            for peer in self.peers.values()
            if name in peer.files and peer.is_alive and (peer.name, name) not in self.failed
        ]
        if holders:
            return min(holders, key=lambda peer: (peer.copies, random()))
        if any(peer.is_expected for peer in self.peers.values()):
            return None
        first = number % len(self.names)
        for other in (*self.names[first:], *self.names[:first]):
            if other == self.me:
                break
            peer = self.peers[other]
            if name not in peer.files and peer.can_come:
                return None
        return "hub"

    def copy(self, peer: Peer, name: str, size: int) -> None:
        """Copy a file, or the missing part at its end, to the working directory.

        Raises ``OSError`` if the connection breaks.
        """
        with self._lock:
            peer.copies += 1
        connection = peer.connection(self.tls)
        try:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            with Path(name).open("ab") as file:
                if file.tell() > size:
                    file.truncate(0)
                headers = {"Range": f"bytes={file.tell()}-"} if file.tell() else {}
                connection.request("GET", f"/{quote(self.key)}/{quote(name)}", headers=headers)
                with connection.getresponse() as answer:
                    self._receive(answer, file, size)
        except HTTPException as error:
            raise OSError(str(error)) from None
        finally:
            connection.close()
            with self._lock:
                peer.copies -= 1

    def _receive(self, answer: HTTPResponse, file: Any, size: int) -> None:
        if answer.status != (206 if file.tell() else 200):
            raise OSError(f"answer {answer.status}")
        while block := answer.read(min(BLOCK, size - file.tell())):
            file.write(block)
            with self._lock:
                self.copied += len(block)
        if file.tell() != size:
            raise OSError("the connection breaks")

    def reject(self, peer: Peer, name: str) -> None:
        """Take a file from this host no more."""
        self.failed.add((peer.name, name))

    def waiting(self) -> list[str]:
        """Return the hosts that still need files."""
        return [peer.name for peer in self.peers.values() if peer.needs_files]

    def running(self) -> list[str]:
        """Return the hosts whose program runs."""
        return [peer.name for peer in self.peers.values() if peer.is_running]

    def silent(self) -> list[Peer]:
        """Return the hosts that never answered in the time for it."""
        return [peer for peer in self.peers.values() if peer.seen is None and not peer.is_alive]


def remove(name: str) -> None:
    """Remove a file whose content is wrong."""
    with suppress(FileNotFoundError):
        Path(name).unlink()
