"""A range of a file of this machine, for an upload."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from mirrorfleet.runtime.meter import Meter


class Chunk:
    """A range of a file, with the interface of a file opened for reading."""

    def __init__(self, path: Path, start: int, length: int, meter: Meter | None = None) -> None:
        self.path, self.start, self.length, self.meter = path, start, length, meter
        self.at = 0
        self.stream: BinaryIO | None = None

    def seek(self, at: int) -> None:
        self.at = at

    def read(self, count: int = -1) -> bytes:
        if self.stream is None:
            self.stream = self.path.open("rb")
        self.stream.seek(self.start + self.at)
        rest = self.length - self.at
        data = self.stream.read(rest if count < 0 else min(count, rest))
        self.at += len(data)
        if self.meter:
            self.meter.sent(self.at)
        if not data:
            self.stream.close()
            self.stream = None
        return data
