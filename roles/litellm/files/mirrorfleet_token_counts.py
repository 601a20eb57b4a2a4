"""Store token counts of prompts in one file that all workers of a gateway share.

The file has a fixed size, and holds

- the token counts of prefixes of prompts, by their digests, as an engine has counted them;
- the tokens per byte of each kind of text, for each model.

A digest determines the place of its record. A record is read and written in one step, and has a
checksum: if two workers write it at once, it may become unreadable, and counts as missing. The file
survives a restart. Its content can be learnt again, so a broken file does no other harm.
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

RECORD = 64
"""Size of a record in bytes, with its checksum."""

SIZE = RECORD * (PLACES + MODELS)


class Counts:
    """The counts in the file at ``path``, or only in memory if the file cannot be used."""

    def __init__(self, path: str | None) -> None:
        self.error = ""
        try:
            self._map = _opened(path) if path else mmap.mmap(-1, SIZE)
        except OSError as error:
            self.error = f"{path}: {error.strerror}"
            self._map = mmap.mmap(-1, SIZE)

    def find(self, digest: bytes) -> int | None:
        """Return the token count of a prompt; None if it was not counted."""
        at = RECORD * (MODELS + int.from_bytes(digest[:8], "little") % PLACES)
        known = self._read(at, COUNT)
        return known[1] if known and known[0] == digest else None

    def store(self, digest: bytes, tokens: int) -> None:
        """Store the token count of a prompt."""
        at = RECORD * (MODELS + int.from_bytes(digest[:8], "little") % PLACES)
        self._write(at, COUNT.pack(digest, tokens))

    def rates(self, model: bytes) -> tuple[float, ...] | None:
        """Return the tokens per byte of a model, by the digest of its weights; None if unknown."""
        known = self._read(RECORD * (int.from_bytes(model[:8], "little") % MODELS), RATES)
        return known[1:] if known and known[0] == model else None

    def store_rates(self, model: bytes, rates: tuple[float, ...]) -> None:
        """Store the tokens per byte of a model."""
        self._write(
            RECORD * (int.from_bytes(model[:8], "little") % MODELS), RATES.pack(model, *rates)
        )

    def _read(self, at: int, form: struct.Struct) -> tuple[Any, ...] | None:
        record = self._map[at : at + form.size + SUM.size]
        is_valid = SUM.unpack(record[form.size :])[0] == crc32(record[: form.size])
        return form.unpack(record[: form.size]) if is_valid else None

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
