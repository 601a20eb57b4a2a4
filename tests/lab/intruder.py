"""A hostile user of a gateway's host. Run there, as that user, it attacks the port and the locks.

    python3 -u intruder.py PORT FILE...

Tries without a pause to listen on the port, on every address, and holds a lock on each file that it
can open. Prints a line per lock, listening address and connection, and once a second the number of
tries.
"""

from __future__ import annotations

import fcntl
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

ADDRESSES = (
    *((socket.AF_INET, address) for address in ("0.0.0.0", "127.0.0.1", "")),
    *((socket.AF_INET6, address) for address in ("::", "::1")),
)


def listener(family: int, address: str, port: int) -> socket.socket | None:
    """Listen, with all options for shared ports; return ``None`` if the kernel refuses."""
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        server.bind((address, port))
        server.listen()
    except OSError:
        server.close()
        return None
    return server


def own() -> Iterator[tuple[int, str]]:
    """Yield the family and the host's own address in its network, if it has one."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anywhere:
        anywhere.connect(("192.0.2.1", 9))  # nothing is sent
        yield socket.AF_INET, anywhere.getsockname()[0]


def main(port: int, files: list[str]) -> None:
    locked = []
    for path in files:
        with suppress(OSError):
            file = open(path)  # noqa: PTH123, SIM115
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked.append(file)
            print("locked", path)
    selector = selectors.DefaultSelector()
    tries, printed, taken = 0, time.monotonic(), set[tuple[int, str]]()
    addresses = [*ADDRESSES, *own()]
    while True:
        for family, address in addresses:
            if (family, address) in taken:
                continue
            tries += 1
            if server := listener(family, address, port):
                print("listens", address or "any")
                taken.add((family, address))
                selector.register(server, selectors.EVENT_READ)
        for key, _ in selector.select(0.002) if taken else ():
            connection, peer = key.fileobj.accept()  # type: ignore[union-attr]
            connection.settimeout(2)
            with suppress(OSError):
                print("connection", peer[0], connection.recv(4096))
            connection.close()
        if not taken:
            time.sleep(0.005)
        if time.monotonic() - printed > 1:
            printed = time.monotonic()
            print("tries", tries)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
