"""Users and files for the root of a guest that is not running."""

import io
import subprocess
import tarfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .terminal import LabError

# Run with the guest's own programs, so that owners are the guest's users. A directory that exists
# keeps its mode and owner.
_PLACE = """
for user; do
    id -u "$user" >/dev/null 2>&1 ||
        useradd --create-home --key HOME_MODE=0700 --shell /bin/bash "$user"
done
exec tar --extract --directory=/ --no-overwrite-dir
"""


@dataclass(frozen=True)
class File:
    """A file of a guest: absolute path, text, mode, owner. With `link`, a symbolic link to it."""

    path: str
    text: str = ""
    mode: int = 0o644
    owner: str = "root"
    link: str = ""


def place(enter: list[str], users: Iterable[str], files: Iterable[File]) -> None:
    """Create the missing users and write the files with owners and modes.

    `enter` is a command that runs its arguments in the guest's root.
    """
    command = [*enter, "/bin/sh", "-euc", _PLACE, "sh", *users]
    done = subprocess.run(command, check=False, input=_archive(files), capture_output=True)
    if done.returncode:
        raise LabError(f"cannot write into a guest: {done.stderr.decode().strip()}")


def _archive(files: Iterable[File]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files:
            for member, data in _members(file):
                archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _members(file: File) -> Iterable[tuple[tarfile.TarInfo, bytes]]:
    parent = tarfile.TarInfo(str(Path(file.path).parent).lstrip("/"))
    parent.type, parent.mode = tarfile.DIRTYPE, 0o755
    parent.uname = parent.gname = file.owner
    parent.mtime = time.time()
    yield parent, b""
    data = file.text.encode()
    member = tarfile.TarInfo(file.path.lstrip("/"))
    member.mode, member.uname, member.gname = file.mode, file.owner, file.owner
    member.size, member.mtime = len(data), parent.mtime
    if file.link:
        member.type, member.linkname = tarfile.SYMTYPE, file.link
    yield member, data
