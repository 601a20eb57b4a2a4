"""Files for a host: packed in memory and sent through standard input, never in argv."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mirrorfleet.runtime.shell import shell


@dataclass(frozen=True)
class Member:
    """One file: name in the archive, content, mode in octal ("640"), owner and group."""

    name: str
    content: bytes
    mode: str = "644"
    owner: str = "root"
    group: str = "root"

    @property
    def rights_and_digest(self) -> str:
        """The description of the file in a `Tree` fact."""
        return f"{self.mode} {self.owner}:{self.group} {sha256(self.content).hexdigest()}"


UNPACK = shell(Path(__file__).parent / "scripts" / "unpack.sh")
"""A shell function, `unpack`, which extracts standard input to the working directory."""


def pack(members: Iterable[Member]) -> str:
    """Return a tar archive as text for the standard input of ``unpack``.

    The same members give the same text: it has no times and no names of this machine.
    """
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member in members:
            entry = tarfile.TarInfo(member.name)
            entry.size = len(member.content)
            entry.mode = int(member.mode, 8)
            entry.uname, entry.gname = member.owner, member.group
            archive.addfile(entry, io.BytesIO(member.content))
    return base64.encodebytes(gzip.compress(raw.getvalue(), mtime=0)).decode("ascii")
