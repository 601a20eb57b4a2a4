"""The lab's lock: only one `up` or `down` runs at a time."""

import fcntl
import os

from . import paths
from .terminal import log


def take() -> None:
    """Wait for the lab's lock and hold it until this process ends.

    It must not be released earlier: the next driver kills all processes in the driver's cgroup,
    and this process is in it until it ends.
    """
    while True:
        paths.RUN.mkdir(exist_ok=True)
        descriptor = os.open(paths.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("waiting for another up or down to end")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # A `down` that held the lock before has removed the locked file.
        if _is_current(descriptor):
            return
        os.close(descriptor)


def _is_current(descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), paths.LOCK.stat())
    except FileNotFoundError:
        return False
