"""A hostile user of a gateway's host, who wants its port and its locks. Run there, as that user.

    python3 -u intruder.py PORT FILE...

Tries without a pause to listen on the port, on every address, and holds a lock on each of the files
that it can open. Prints what it got: a line per connection, and how often it tried, once a second.
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
    """Listen, by whatever the kernel lets two of them share; None where it refuses."""
    here = socket.socket(family)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        here.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        here.bind((address, port))
        here.listen()
    except OSError:
        here.close()
        return None
    return here


def own() -> Iterator[tuple[int, str]]:
    """Yield the host's address in its network, if it has one."""
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
    found = selectors.DefaultSelector()
    tries, told, taken = 0, time.monotonic(), set[tuple[int, str]]()
    wanted = [*ADDRESSES, *own()]
    while True:
        for family, address in wanted:
            if (family, address) in taken:
                continue
            tries += 1
            if here := listener(family, address, port):
                print("listens", address or "any")
                taken.add((family, address))
                found.register(here, selectors.EVENT_READ)
        for key, _ in found.select(0.002) if taken else ():
            connection, peer = key.fileobj.accept()  # type: ignore[union-attr]
            connection.settimeout(2)
            with suppress(OSError):
                print("connection", peer[0], connection.recv(4096))
            connection.close()
        if not taken:
            time.sleep(0.005)
        if time.monotonic() - told > 1:
            told = time.monotonic()
            print("tries", tries)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
