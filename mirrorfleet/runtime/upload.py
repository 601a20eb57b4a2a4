"""The upload of large files: by SFTP, to a directory that only the login user can enter."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyinfra.api.command import FileUploadCommand

from mirrorfleet.runtime.chunk import Chunk
from mirrorfleet.runtime.commands import Commands, script, visible_script
from mirrorfleet.runtime.digests import digest
from mirrorfleet.runtime.meter import Meter
from mirrorfleet.runtime.paths import STATE
from mirrorfleet.runtime.shell import shell

INBOX = f"{STATE}/inbox"

SCRIPTS = Path(__file__).parent / "scripts"
OPEN = shell(SCRIPTS / "open_inbox.sh")


def upload(
    file: Path | io.BytesIO, then: str, first: str = "", *, what: str = "", shows: bool = False
) -> Commands:
    """Send a file to the host and run the shell script ``then`` as root with it.

    The script starts in a directory that only root can read. The directory has only the file, named
    ``upload``, whose digest is verified; it is removed when the script ends. ``first`` is a script
    that runs before the upload. ``what`` names a file of many bytes in lines of progress; with
    ``shows``, the output of ``then`` is printed as it arrives.
    """
    content: Any
    if isinstance(file, Path):
        size = file.stat().st_size
        content = Chunk(file, 0, size, Meter(what, size)) if what else str(file)
        known = digest(file)
    else:
        content, known = file, sha256(file.getvalue()).hexdigest()
    name = known[:16]
    yield script(OPEN + first)
    yield FileUploadCommand(content, f"{INBOX}/{name}", _sudo=False, _doas=False)
    make = visible_script if shows else script
    yield make(shell(SCRIPTS / "take_upload.sh", upload=name, digest=known) + then)
