"""One `up` or `down` at a time."""

import fcntl
import os

from . import paths
from .terminal import log


def take() -> None:
    """Wait for the lab's lock and hold it until this process ends.

    Not shorter: the next driver ends whatever it finds in the driver's cgroup, which this process
    is in to its last moment.
    """
    while True:
        paths.RUN.mkdir(exist_ok=True)
        descriptor = os.open(paths.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("another up or down is at work, waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # A `down` that had the lock before us has removed the file that we now hold.
        if _is_current(descriptor):
            return
        os.close(descriptor)


def _is_current(descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), paths.LOCK.stat())
    except FileNotFoundError:
        return False
