"""A wheel that a lock file pins, downloaded and checked as for a host."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from mirrorfleet.config.lock_files import indexes
from mirrorfleet.locking.target import LockError
from mirrorfleet.runtime import cache


@contextmanager
def wheel(package: str, release: str, lock: str) -> Iterator[IO[bytes]]:
    """Open the wheel of a package for Linux on x86_64.

    Raises ``LockError`` if the lock file does not pin it, ``DeployError`` if it cannot be had.
    """
    pin = re.search(rf"^{package}==(?:.*\\\n)*.*", lock, re.MULTILINE)
    if pin is None:
        raise LockError(f"the lock file of {package} {release} does not pin {package}")
    archive = cache.wheels(
        f"{pin[0]}\n", f"{package} {release}", "3.11", "x86_64", also="", indexes=indexes(lock)
    )
    with tarfile.open(archive) as tar:
        [name] = [member for member in tar.getnames() if member.endswith(".whl")]
        file = tar.extractfile(name)
        if file is None:
            raise LockError(f"{archive}: {name} is not a file")
        yield file
