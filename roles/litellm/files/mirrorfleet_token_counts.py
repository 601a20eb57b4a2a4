"""What is known of the lengths of prompts, in one file that all workers of a gateway share.

It has a fixed size, and holds

- how many tokens the beginnings of prompts have, by their digests: what an engine has counted;
- for each model, how many tokens each kind of text has per byte.

A record is found by its digest, read and written in one step, and has a checksum: one that two
workers write at once is at worst unreadable, and then it is not known. The file survives a
restart. What it holds can be learnt again, so a file that cannot be used costs nothing else.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import Any
from zlib import crc32

PLACES, MODELS = 32768, 64

COUNT = struct.Struct("<16sI")
RATES = struct.Struct("<16s4d")
SUM = struct.Struct("<I")

ROOM = 64
"""Bytes of a record, its checksum among them."""

SIZE = ROOM * (PLACES + MODELS)


class Counts:
    """The file at ``path``; memory of this process alone, where it cannot be used."""

    def __init__(self, path: str | None) -> None:
        self.error = ""
        try:
            self._map = _opened(path) if path else mmap.mmap(-1, SIZE)
        except OSError as error:
            self.error = f"{path}: {error.strerror}"
            self._map = mmap.mmap(-1, SIZE)

    def find(self, digest: bytes) -> int | None:
        """Return how many tokens a prompt has that was counted once."""
        at = ROOM * (MODELS + int.from_bytes(digest[:8], "little") % PLACES)
        known = self._read(at, COUNT)
        return known[1] if known and known[0] == digest else None

    def keep(self, digest: bytes, tokens: int) -> None:
        at = ROOM * (MODELS + int.from_bytes(digest[:8], "little") % PLACES)
        self._write(at, COUNT.pack(digest, tokens))

    def rates(self, model: bytes) -> tuple[float, ...] | None:
        """Return what was learnt of a model, by the digest of its weights."""
        known = self._read(ROOM * (int.from_bytes(model[:8], "little") % MODELS), RATES)
        return known[1:] if known and known[0] == model else None

    def learn(self, model: bytes, rates: tuple[float, ...]) -> None:
        self._write(
            ROOM * (int.from_bytes(model[:8], "little") % MODELS), RATES.pack(model, *rates)
        )

    def _read(self, at: int, form: struct.Struct) -> tuple[Any, ...] | None:
        record = self._map[at : at + form.size + SUM.size]
        is_whole = SUM.unpack(record[form.size :])[0] == crc32(record[: form.size])
        return form.unpack(record[: form.size]) if is_whole else None

    def _write(self, at: int, record: bytes) -> None:
        self._map[at : at + len(record) + SUM.size] = record + SUM.pack(crc32(record))


def _opened(path: str) -> mmap.mmap:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(file).st_size != SIZE:
            os.ftruncate(file, SIZE)
        return mmap.mmap(file, SIZE)
    finally:
        os.close(file)
