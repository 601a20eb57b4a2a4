"""The floor: one connection and one exec per host, on all hosts at once.

    python -m benchmarks.peers.floor PEERS_JSON [SCRIPT]

It connects as pyinfra does, with paramiko under gevent, and runs `true`, or SCRIPT as root.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
import paramiko  # noqa: E402

from tests.lab import keys  # noqa: E402
from tests.lab.hosts import OPERATOR  # noqa: E402


def main(peers: str, script: str = "") -> None:
    """Run the command on every host; raise an exception if one fails."""
    addresses = [peer["address"] for peer in json.loads(Path(peers).read_text("utf-8")).values()]
    text = Path(script).read_bytes() if script else b""
    key = paramiko.Ed25519Key.from_private_key_file(str(keys.IDENTITY))
    known = paramiko.HostKeys(str(keys.KNOWN_HOSTS))
    jobs = [gevent.spawn(one, address, key, known, text) for address in addresses]
    gevent.joinall(jobs, raise_error=True)


def one(
    address: str,
    key: paramiko.PKey,
    known: paramiko.HostKeys,
    text: bytes,
    *,
    user: str = OPERATOR,
    port: int = 22,
) -> None:
    """Connect to a host, run one command, and wait for its end."""
    client = paramiko.SSHClient()
    client.get_host_keys().update(known)
    client.connect(
        address,
        port=port,
        username=user,
        pkey=key,
        allow_agent=False,
        look_for_keys=False,
        transport_factory=transport,  # type: ignore[arg-type]
    )
    stdin, stdout, _ = client.exec_command("sudo -n sh -s" if text else "true")
    if text:
        stdin.write(text)
        stdin.channel.shutdown_write()
    stdout.read()
    if stdout.channel.recv_exit_status():
        raise RuntimeError(f"{address}: the command failed")
    client.close()


def transport(sock: socket.socket, **arguments: Any) -> paramiko.Transport:
    """Return a transport that sends small packets at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return paramiko.Transport(sock, **arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
