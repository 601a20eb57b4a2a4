"""Run one engine on several nodes: its processes start together and end together.

    node_launcher.py DIRECTORY    the directory of the service, with its generations

vLLM connects its processes, but if one is lost, the others wait for it for ever, while the first
still reports that it is healthy. So the launcher of the first node connects to each other node
before the start. When one of these connections ends, each launcher ends its process, systemd
restarts it, and the nodes connect again.

The first node selects the generation of all nodes by a token that is the same on each. So the other
nodes follow a rollback of the first.
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

import psutil  # type: ignore[import-untyped]  # vLLM depends on it

Generation = dict[str, Any]
"""nodes.json with the token: addresses of all nodes; rank, port and command of this one."""

KNOWN, UNKNOWN, START = b"k", b"u", b"s"

SILENCE = 20
"""Seconds without a packet after which a host counts as lost."""


def main(directory: Path) -> None:
    """Start the process of this node, and end when a process on another node ends."""
    me = read(directory / "current")
    if me["rank"] == 0:
        lead(me)
    else:
        follow(me, directory)


def read(generation: Path) -> Generation:
    """Return nodes.json of a generation, with its token."""
    found: Generation = json.loads((generation / "nodes.json").read_text("utf-8"))
    return {**found, "token": (generation / "word").read_text("ascii")}


def lead(me: Generation) -> None:
    """Connect to all other nodes, then start the process of the first node."""
    others = {join(address, me): address for address in me["addresses"][1:]}
    for connection in others:
        connection.sendall(START)
    watch(others, run(me))


def join(address: str, me: Generation) -> socket.socket:
    """Return a connection to another node, once that has the same generation."""
    own, reported = me["addresses"][0], ""
    while True:
        try:
            # From the address that the other node expects, if the interface has several.
            connection = socket.create_connection((address, me["port"]), SILENCE, (own, 0))
            connection.sendall(me["token"].encode())
            answer, reason = connection.recv(1), "it closed the connection"
        except OSError as error:
            answer, reason = b"", str(error)
        if answer == KNOWN:
            return with_keepalive(connection)
        if answer == UNKNOWN:
            sys.exit(f"{address} does not have this generation: run for all nodes of the model")
        if reason != reported:
            print(f"waiting for {address}: {reason}", flush=True)
        reported = reason
        time.sleep(1)


def follow(me: Generation, directory: Path) -> None:
    """Wait for a request of the first node, then start the process of this node."""
    first, current = me["addresses"][0], (directory / "current").readlink()
    family = socket.AF_INET6 if ":" in first else socket.AF_INET
    with socket.create_server((me["addresses"][me["rank"]], me["port"]), family=family) as server:
        connection, token = request_of(server, first)
        if (directory / "current").readlink() != current:
            sys.exit("another generation has replaced this one: systemd starts that")
        found = (each for each in generations(directory) if each["token"] == token)
        requested = next(found, None)
        connection.sendall(KNOWN if requested else UNKNOWN)
        if requested is None:
            sys.exit(
                f"{first} requests a generation that is not here: run for all nodes of the model"
            )
        if with_keepalive(connection).recv(1) != START:
            sys.exit(f"{first} disconnected before all nodes were connected")
        Path("word").write_text(token, "ascii")
        watch({connection: first}, run(requested), server)


def request_of(server: socket.socket, first: str) -> tuple[socket.socket, str]:
    """Wait for the first node; return its connection and the token of the requested generation.

    Other connections only test whether the port is reachable.
    """
    while True:
        connection, (peer, *_) = server.accept()
        connection.settimeout(SILENCE)
        try:
            token = connection.recv(64).decode("ascii", "replace")
        except OSError:
            token = ""
        if peer == first and token:
            return connection, token
        connection.close()


def generations(directory: Path) -> Iterator[Generation]:
    """Yield the generations on this node, the current one first."""
    yield read(directory / "current")
    for path in directory.glob("generations/*/nodes.json"):
        yield read(path.parent)


def with_keepalive(connection: socket.socket) -> socket.socket:
    """Make a connection end when the other host is lost, but not when it is idle."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE // 4)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENCE // 4)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    return connection


def run(me: Generation) -> subprocess.Popen[bytes]:
    """Start vLLM, which connects to the other nodes through the interface with this address."""
    own = me["addresses"][me["rank"]]
    interface = interface_of(own)
    network = {
        "VLLM_HOST_IP": own,
        "GLOO_SOCKET_IFNAME": interface,
        "NCCL_SOCKET_IFNAME": f"={interface}",
    }
    environment = {**os.environ, **me["environment"], **network}
    return subprocess.Popen(me["command"], env=environment, start_new_session=True)


def interface_of(address: str) -> str:
    """Return the name of the network interface with an address."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(entry.address == address for entry in addresses):
            return str(name)
    sys.exit(f"no network interface of this host has the address {address}")


def watch(
    others: dict[socket.socket, str], engine: subprocess.Popen[bytes], *servers: socket.socket
) -> None:
    """Wait until another node or this process of the engine ends, then end all of this node."""
    while engine.poll() is None:
        readable, *_ = select.select([*others, *servers], [], [], 1)
        for connection in readable:
            if connection in servers:
                connection.accept()[0].close()
                continue
            # No data follows the start, so a readable connection has ended.
            print(f"{others[connection]} is lost, see its journal: this node ends too", flush=True)
            # vLLM ignores SIGTERM while it waits for a lost node.
            os.killpg(engine.pid, signal.SIGKILL)
            sys.exit(1)
    sys.exit(f"the engine's process on this node ended with status {engine.returncode}")


main(Path(sys.argv[1]))
