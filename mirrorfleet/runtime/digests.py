"""The SHA-256 of files on this machine. Each file is read once for all hosts."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from hashlib import file_digest
from pathlib import Path

from gevent import get_hub
from gevent.lock import Semaphore

from mirrorfleet.config import reading
from mirrorfleet.runtime import cache

_lock = Semaphore()


def digest(file: Path) -> str:
    """Return the SHA-256 of a file. Raises ``Unreadable``."""
    return digests([file])[0]


def digests(files: Sequence[Path]) -> list[str]:
    """Return the SHA-256 of each file, from the cache unless the file has changed.

    Raises ``Unreadable``. Threads read the files: weights take minutes, and other hosts go on.
    """
    book = cache.directory() / "digests.json"
    with _lock:
        known = _read(book)
        states = {str(file.resolve()): _state(file) for file in files}
        unread = [path for path, state in states.items() if known.get(path, [""])[0] != state]
        if unread:
            found = get_hub().threadpool.map(_sha256, unread)
            known |= {
                path: [states[path], sha256] for path, sha256 in zip(unread, found, strict=True)
            }
            _write(book, known)
    return [known[path][1] for path in (str(file.resolve()) for file in files)]


def _state(file: Path) -> str:
    """Return size, modification time and inode, which change with the file."""
    try:
        stat = file.stat()
    except OSError as error:
        raise reading.unreadable(file, error) from None
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"


def _sha256(path: str) -> str:
    with reading.opened(path) as file:
        return file_digest(file, "sha256").hexdigest()


def _read(book: Path) -> dict[str, list[str]]:
    try:
        known: dict[str, list[str]] = json.loads(book.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known


def _write(book: Path, known: dict[str, list[str]]) -> None:
    book.parent.mkdir(parents=True, exist_ok=True)
    new = book.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps(known, indent=1), "utf-8")
    new.replace(book)
