"""The recorded answer of a host, with other files of the developer on each simulated host."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.user_settings import BACKUP

MARK = b"0" * 32
"""Stands in the recorded developer's own files for what differs between developers."""


class Recorded:
    """An answer to the observation: lines, of which those about homes have files in base64."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self.files = {
            line.split("\t")[2]: base64.b64decode(line.rpartition("\t")[2])
            for line in self.lines
            if line.startswith("home_file\t")
        }
        [self.backup] = [path for path in self.files if path.endswith(f"/{BACKUP}")]
        if not any(MARK in content for content in self.files.values()):
            raise ValueError(f"no file of the recorded home has the mark {MARK.decode()}")

    def of(self, address: str) -> bytes:
        """Return the answer of the host with this address."""
        mark = sha256(address.encode()).hexdigest()[: len(MARK)].encode()
        own = {path: content.replace(MARK, mark) for path, content in self.files.items()}
        own[self.backup] = self._backup(own, mark)
        return ("\n".join(self._line(line, own) for line in self.lines) + "\n").encode()

    def _backup(self, own: Mapping[str, bytes], mark: bytes) -> bytes:
        """Return the backup with the former content and the digest of this developer's files."""
        content: dict[str, Any] = json.loads(self.files[self.backup])
        for path, backup in content["files"].items():
            if backup["written"] == sha256(self.files[path]).hexdigest():
                backup["written"] = sha256(own[path]).hexdigest()
            if backup["original"]:
                former = zlib.decompress(base64.b64decode(backup["original"]))
                packed = zlib.compress(former.replace(MARK, mark))
                backup["original"] = base64.b64encode(packed).decode()
        return written(content)

    def _line(self, line: str, own: Mapping[str, bytes]) -> str:
        fields = line.split("\t")
        if fields[0] == "home_file":
            fields[-1] = base64.b64encode(own[fields[2]]).decode()
        return "\t".join(fields)
