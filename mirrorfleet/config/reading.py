"""Files that a fleet file names, read by the controller: regular files only, and not without end.

A pipe would block for ever, and a device such as /dev/zero fill the memory.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

LARGEST = 16 * 1024**2
"""Bytes of one text. A fleet of 60,000 hosts has 3 MB, a chain of certificates some kB."""


class Unreadable(OSError):
    """Why a file cannot be read: ``mistake``, to be put after its name and a colon, and ``remedy``.

    ``endless`` is true of pipes and devices.
    """

    def __init__(
        self, path: str | Path, mistake: str, remedy: str = "", *, endless: bool = False
    ) -> None:
        super().__init__(mistake)
        self.filename, self.strerror = str(path), mistake
        self.mistake, self.remedy, self.endless = f"{mistake}.", remedy, endless

    @property
    def told(self) -> str:
        """Mistake and remedy."""
        return f"{self.mistake} {self.remedy}".rstrip()

    def __str__(self) -> str:
        return f"{self.filename}: {self.told}"


class Missing(Unreadable):
    """There is no such file."""


def text(path: str | Path, largest: int = LARGEST) -> str:
    """Return a file of UTF-8 text. Raises ``Unreadable``."""
    found = content(path, largest)
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        raise Unreadable(path, f"Not UTF-8 text, in line {line}", "Save it as UTF-8.") from None


def content(path: str | Path, largest: int = LARGEST) -> bytes:
    """Return the bytes of a file. Raises ``Unreadable``."""
    with opened(path) as file:
        try:
            found = file.read(largest + 1)
        except OSError as error:
            raise unreadable(path, error) from None
    if len(found) > largest:
        raise Unreadable(path, f"Larger than {largest // 1024**2} MiB", "Name another file.")
    return found


def opened(path: str | Path) -> BufferedReader:
    """Open a regular file of any size. Raises ``Unreadable`` for all else."""
    try:
        # Without O_NONBLOCK, a pipe is opened only when somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise Unreadable(path, os.strerror(errno.EISDIR))
    kind = "pipe" if stat.S_ISFIFO(mode) else "device"
    raise Unreadable(path, f"Not a regular file, but a {kind}", "Name a file.", endless=True)


def unreadable(path: str | Path, error: OSError | ValueError) -> Unreadable:
    """Return what an error of the system means."""
    if isinstance(error, FileNotFoundError):
        return Missing(path, error.strerror or "")
    if isinstance(error, OSError):
        return Unreadable(path, error.strerror or str(error))
    return Unreadable(path, "No path", "A path holds no NUL.")
