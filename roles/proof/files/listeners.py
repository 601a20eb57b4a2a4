"""Whose port it is: a key goes to a process of the service's own user only.

A part of the proof, which runs on hosts with the standard library only: see session.py.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def listeners(port: int) -> set[int]:
    """Return the user IDs that listen on a TCP port of this host."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(FileNotFoundError):  # a host without IPv6
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                _, local, _, state, _, _, _, user, *_ = line.split()
                if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                    found.add(int(user))
    return found
