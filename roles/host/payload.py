"""Files on their way to a host: packed in memory, sent through standard input, never in argv."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True)
class Member:
    """One file: its name in the archive, content, mode in octal ("640"), owner and group."""

    name: str
    content: bytes
    mode: str = "644"
    owner: str = "root"
    group: str = "root"


UNPACK = "base64 -d | gzip -dc | tar -xpf - --same-owner"
"""The other end: reads standard input into the working directory."""


def pack(members: Iterable[Member]) -> str:
    """Return a tar archive as text for the standard input of ``UNPACK``.

    The same members give the same text: no times, no names of this machine.
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


def tree_digest(members: Sequence[Member], group: str) -> str:
    """Return what observe.sh's ``tree`` says of a directory, mode 750, that holds these files."""
    entries = [f". d 750 root:{group} \n"]
    entries += [f"./{m.name} f {m.mode} {m.owner}:{m.group} \n" for m in members]
    contents = {m.name: sha256(m.content).hexdigest() for m in members}
    sums = [f"{contents[name]}  ./{name}\n" for name in sorted(contents)]
    return sha256("".join(sorted(entries) + sums).encode()).hexdigest()
