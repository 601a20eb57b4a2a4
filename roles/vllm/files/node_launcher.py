"""Run one engine on several hosts: its parts start together and end together.

    node_launcher.py DIRECTORY          the service's, with its generations

vLLM connects the parts by itself, but when one is lost, the others wait for it for ever, while the
first still says that all is well. So the first connects to each other one before it starts, and
while these connections stand, all run. Where one ends, each ends its own part, and systemd starts
it anew: they find each other again.

The first says which generation the others are to run, by a word that it has in common with theirs:
where it goes back to the one before, so do they.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # which vLLM needs itself

Generation = dict[str, Any]
"""nodes.json: the addresses of all nodes, and the rank, port and command of this one; its word."""

KNOWN, UNKNOWN, START = b"k", b"u", b"s"

SILENCE = 20
"""Seconds without a sign of life after which a host counts as lost."""


def main(directory: Path) -> None:
    """Start this node's part, the first one's or another's, and end with any of the others."""
    me = read(directory / "current")
    if me["rank"] == 0:
        lead(me)
    else:
        follow(me, directory)


def read(generation: Path) -> Generation:
    found: Generation = json.loads((generation / "nodes.json").read_text("utf-8"))
    return {**found, "word": (generation / "word").read_text("ascii")}


def lead(me: Generation) -> None:
    """Start the first part, once all others are there."""
    others = {join(address, me): address for address in me["addresses"][1:]}
    for connection in others:
        connection.sendall(START)
    watch(others, run(me))


def join(address: str, me: Generation) -> socket.socket:
    """Return a connection to another node that has what it is to run."""
    own, told = me["addresses"][0], ""
    while True:
        try:
            # By the address that the other one knows us by, where a card has several.
            connection = socket.create_connection((address, me["port"]), SILENCE, (own, 0))
            connection.sendall(me["word"].encode())
            answer, why = connection.recv(1), "it ended the connection"
        except OSError as error:
            answer, why = b"", str(error)
        if answer == KNOWN:
            return lasting(connection)
        if answer == UNKNOWN:
            sys.exit(f"{address} does not have what is to run here: it was left out of a run")
        if why != told:
            print(f"waiting for {address}: {why}", flush=True)
        told = why
        time.sleep(1)


def follow(me: Generation, directory: Path) -> None:
    """Start this part when the first node asks for it, once."""
    first, current = me["addresses"][0], (directory / "current").readlink()
    family = socket.AF_INET6 if ":" in first else socket.AF_INET
    with socket.create_server((me["addresses"][me["rank"]], me["port"]), family=family) as door:
        connection, word = asked(door, first)
        if (directory / "current").readlink() != current:
            sys.exit("another generation came while this one waited: it starts as that")
        wanted = next((each for each in generations(directory) if each["word"] == word), None)
        connection.sendall(KNOWN if wanted else UNKNOWN)
        if wanted is None:
            sys.exit(f"{first} asks for what is not here: this node was left out of a run")
        if lasting(connection).recv(1) != START:
            sys.exit(f"{first} has gone before all nodes were there")
        Path("word").write_text(word, "ascii")
        watch({connection: first}, run(wanted), door)


def asked(door: socket.socket, first: str) -> tuple[socket.socket, str]:
    """Wait until the first node says what is to run.

    Whoever else connects wants to know whether that is possible.
    """
    while True:
        connection, (peer, *_) = door.accept()
        connection.settimeout(SILENCE)
        try:
            word = connection.recv(64).decode("ascii", "replace")
        except OSError:
            word = ""
        if peer == first and word:
            return connection, word
        connection.close()


def generations(directory: Path) -> Iterator[Generation]:
    """Yield the generations that are here, the current one first."""
    yield read(directory / "current")
    for each in directory.glob("generations/*/nodes.json"):
        yield read(each.parent)


def lasting(connection: socket.socket) -> socket.socket:
    """Let a connection end when the other host does, and not because there is nothing to say."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE // 4)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENCE // 4)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    return connection


def run(wanted: Generation) -> subprocess.Popen[bytes]:
    """Start vLLM, which is to talk to the others through the card that has our address."""
    own = wanted["addresses"][wanted["rank"]]
    card = card_of(own)
    said = {"VLLM_HOST_IP": own, "GLOO_SOCKET_IFNAME": card, "NCCL_SOCKET_IFNAME": f"={card}"}
    environment = {**os.environ, **wanted["environment"], **said}
    return subprocess.Popen(wanted["command"], env=environment, start_new_session=True)


def card_of(address: str) -> str:
    """Return the name of the network card that has an address of ours."""
    for name, found in psutil.net_if_addrs().items():
        if any(each.address == address for each in found):
            return str(name)
    sys.exit(f"no network card of this host has the address {address}")


def watch(
    others: dict[socket.socket, str], engine: subprocess.Popen[bytes], *doors: socket.socket
) -> None:
    """Wait until a node or this part of the engine ends, and end with it."""
    while engine.poll() is None:
        heard, *_ = select.select([*others, *doors], [], [], 1)
        for each in heard:
            if each in doors:
                each.accept()[0].close()
                continue
            # Nothing is said after the start: what can be read is the end.
            print(f"{others[each]} is lost, as its journal tells: this one ends too", flush=True)
            # What waits for a lost node hears no request to end.
            os.killpg(engine.pid, signal.SIGKILL)
            sys.exit(1)
    sys.exit(f"this part of the engine ended with status {engine.returncode}")


main(Path(sys.argv[1]))
