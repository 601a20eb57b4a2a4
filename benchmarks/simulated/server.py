"""Simulated hosts: one SSH server for all addresses 127.0.0.0/8, and one recorded answer.

    python -m benchmarks.simulated.server DIRECTORY PORT

It needs the files of `recording.py` in DIRECTORY, prints "ready", and runs until its standard input
ends. Then it prints the numbers of connections and of other execs by command, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

import asyncssh

from benchmarks.simulated.answer import Recorded

OBSERVATION = "sh -s"
"""How the command of an observation ends."""

FLOOR = "true"
"""The command of the floor, which leaves its standard input open."""


class Hosts:
    """All simulated hosts: what they answer, and how often they were asked."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.connections = 0
        self.commands: Counter[str] = Counter()


class Connection(asyncssh.SSHServer):
    """A connection to the host of its address."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.address = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.address = conn.get_extra_info("sockname")[0]
        if not self.address.startswith("127."):  # from another machine
            conn.abort()
        self.hosts.connections += 1

    def session_requested(self) -> Session:
        return Session(self.hosts, self.address)


class Session(asyncssh.SSHServerSession[bytes]):
    """One exec: an observation gets the recorded answer, every other command succeeds."""

    def __init__(self, hosts: Hosts, address: str) -> None:
        self.hosts, self.address, self.command = hosts, address, ""

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self.channel = chan

    def exec_requested(self, command: str) -> bool:
        self.command = command
        self.hosts.commands[command] += 1
        return True

    def session_started(self) -> None:
        if self.command == FLOOR:
            self.channel.exit(0)

    def eof_received(self) -> bool:
        if self.command.endswith(OBSERVATION):
            self.channel.write(self.hosts.recorded.of(self.address))
        self.channel.exit(0)
        return False


async def serve(directory: Path, port: int) -> None:
    """Serve until standard input ends."""
    hosts = Hosts(Recorded((directory / "answer").read_text("utf-8")))
    server = await asyncssh.create_server(
        lambda: Connection(hosts),
        "0.0.0.0",
        port,
        backlog=4096,
        server_host_keys=[str(directory / "host")],
        authorized_client_keys=str(directory / "id.pub"),
        encoding=None,
        login_timeout=0,
    )
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()
    print(json.dumps({"connections": hosts.connections, "execs": hosts.commands}), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
