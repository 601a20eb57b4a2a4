"""Start an engine only while no other engine on the same GPUs starts.

    gpu_turns.py HEALTH GPU[,GPU...] COMMAND...

An engine measures the free memory of its GPUs while it starts, and counts as its own what others
take in the meantime. So each GPU has a lock. This process takes the locks of its GPUs, in the order
of their names, and becomes COMMAND. Another process keeps the locks until the URL HEALTH answers
200, the engine ends, or LONGEST seconds have passed.

The locks are files in RUNTIME_DIRECTORY, which systemd sets. Needs the standard library only.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import time
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

LONGEST = 1200
"""Seconds: as long as a run waits for an engine."""

PAUSE = 2
"""Seconds between two requests."""

# Without a proxy: the server is on this host.
_open = build_opener(ProxyHandler({})).open


def main(health: str, gpus: str, *command: str) -> None:
    """Take the locks, and become the command."""
    locks = [lock(gpu) for gpu in sorted(gpus.split(","))]
    engine = os.pidfd_open(os.getpid())
    child = os.fork()
    if child == 0:
        # The engine would not wait for a child of its own that ends.
        if os.fork() == 0:
            hold(engine, health)
        os._exit(0)
    os.waitpid(child, 0)
    for each in (engine, *locks):
        os.close(each)
    os.execv(command[0], command)


def lock(gpu: str) -> int:
    """Wait for the lock of a GPU, and return its descriptor."""
    found = os.open(Path(os.environ["RUNTIME_DIRECTORY"], gpu), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another engine on GPU {gpu} is starting: waiting for it", flush=True)
        fcntl.flock(found, fcntl.LOCK_EX)
    return found


def hold(engine: int, health: str) -> None:
    """Return when the engine, a descriptor of its process, is ready, has ended, or takes too long.

    With this process, the locks end.
    """
    end = time.monotonic() + LONGEST
    while time.monotonic() < end and not is_ready(health):
        if select.select([engine], [], [], PAUSE)[0]:
            return


def is_ready(health: str) -> bool:
    """Return whether the engine answers."""
    try:
        with _open(health, timeout=10) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


if __name__ == "__main__":
    main(*sys.argv[1:])
