"""The upload of one large file in chunks: an interrupted run continues at its chunk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from pyinfra.api.command import FileUploadCommand

from mirrorfleet.runtime.commands import Commands, visible_script
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.upload import INBOX

SCRIPTS = Path(__file__).parent / "scripts"

CHUNK = 512 * 1024**2
"""The most bytes that an interrupted run sends again; a host needs room for two chunks."""


def send(
    path: Path,
    name: str,
    directory: str,
    *,
    digest: str,
    start: int,
    owner: str,
    progress: Callable[[int], str],
) -> Commands:
    """Append the rest of a file, from the byte ``start``, to ``directory``/``name`` on the host.

    The inbox must be open. ``digest`` is that of the whole file, ``owner`` its model in messages.
    ``progress`` returns the line to print after so many bytes of it arrived in this run.
    """
    size = path.stat().st_size
    for at in range(start, size, CHUNK):
        length = min(CHUNK, size - at)
        piece = f"{digest[:16]}.{at}"
        content: Any = Chunk(path, at, length)
        yield FileUploadCommand(content, f"{INBOX}/{piece}", _sudo=False, _doas=False)
        take = shell(
            SCRIPTS / "append_chunk.sh",
            piece=piece,
            part=directory,
            name=name,
            start=at,
            model=owner,
            progress=progress(at + length - start),
        )
        yield visible_script(take, "")


class Chunk:
    """A range of a file, with the interface of a file opened for reading."""

    def __init__(self, path: Path, start: int, length: int) -> None:
        self.path, self.start, self.length = path, start, length
        self.at = 0
        self.stream: BinaryIO | None = None

    def seek(self, at: int) -> None:
        self.at = at

    def read(self, count: int) -> bytes:
        if self.stream is None:
            self.stream = self.path.open("rb")
        self.stream.seek(self.start + self.at)
        data = self.stream.read(min(count, self.length - self.at))
        self.at += len(data)
        if not data:
            self.stream.close()
            self.stream = None
        return data
