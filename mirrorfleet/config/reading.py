"""Read files of the controller that a fleet file names: regular files up to a size.

A pipe could block for ever, and a device such as /dev/zero could fill the memory.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

LARGEST = 16 * 1024**2
"""Most bytes of one file. A fleet of 60,000 hosts has 3 MB, a certificate chain a few kB."""


class Unreadable(OSError):
    """A file that cannot be read: ``mistake``, for use after its name and a colon, and ``remedy``.

    ``endless`` is true for pipes and devices.
    """

    def __init__(
        self, path: str | Path, mistake: str, remedy: str = "", *, endless: bool = False
    ) -> None:
        super().__init__(mistake)
        self.filename, self.strerror = str(path), mistake
        self.mistake, self.remedy, self.endless = f"{mistake}.", remedy, endless

    @property
    def message(self) -> str:
        """Return mistake and remedy."""
        return f"{self.mistake} {self.remedy}".rstrip()

    def __str__(self) -> str:
        return f"{self.filename}: {self.message}"


class Missing(Unreadable):
    """A file that does not exist."""


def text(path: str | Path, largest: int = LARGEST) -> str:
    """Return the text of a UTF-8 file. Raises ``Unreadable``."""
    found = content(path, largest)
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        raise Unreadable(path, f"Not UTF-8 in line {line}", "Save the file as UTF-8.") from None


def content(path: str | Path, largest: int = LARGEST) -> bytes:
    """Return the bytes of a file. Raises ``Unreadable``."""
    with opened(path) as file:
        try:
            found = file.read(largest + 1)
        except OSError as error:
            raise unreadable(path, error) from None
    if len(found) > largest:
        raise Unreadable(path, f"Larger than {largest // 1024**2} MiB", "Use a smaller file.")
    return found


def opened(path: str | Path) -> BufferedReader:
    """Open a regular file of any size. Raises ``Unreadable`` for anything else."""
    try:
        # Without O_NONBLOCK, opening a pipe blocks until a process writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        file = next(iter(sorted(Path(path).glob("*.y*ml"))), None)
        fix = f"Name the file in it: {file}." if file else "Name a file."
        raise Unreadable(path, os.strerror(errno.EISDIR), fix)
    kind = "pipe" if stat.S_ISFIFO(mode) else "device"
    raise Unreadable(path, f"Not a regular file but a {kind}", "Use a regular file.", endless=True)


def unreadable(path: str | Path, error: OSError | ValueError) -> Unreadable:
    """Convert an error of the operating system."""
    if isinstance(error, FileNotFoundError):
        return Missing(path, error.strerror or "")
    if isinstance(error, OSError):
        return Unreadable(path, error.strerror or str(error))
    return Unreadable(path, "Invalid path", "Remove the NUL character.")
