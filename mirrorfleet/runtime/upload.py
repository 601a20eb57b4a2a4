"""The upload of large files: by SFTP, to a directory that only the login user can enter."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path

from pyinfra.api.command import FileUploadCommand

from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.digests import digest
from mirrorfleet.runtime.paths import STATE
from mirrorfleet.runtime.shell import shell

INBOX = f"{STATE}/inbox"

SCRIPTS = Path(__file__).parent / "scripts"
OPEN = shell(SCRIPTS / "open_inbox.sh")


def upload(file: Path | io.BytesIO, then: str, first: str = "") -> Commands:
    """Send a file to the host and run the shell script ``then`` as root with it.

    The script starts in a directory that only root can read. The directory has only the file, named
    ``upload``, whose digest is verified; it is removed when the script ends. ``first`` is a script
    that runs before the upload.
    """
    content: str | io.BytesIO
    if isinstance(file, Path):
        content, known = str(file), digest(file)
    else:
        content, known = file, sha256(file.getvalue()).hexdigest()
    name = known[:16]
    yield script(OPEN + first)
    yield FileUploadCommand(content, f"{INBOX}/{name}", _sudo=False, _doas=False)
    yield script(shell(SCRIPTS / "take_upload.sh", upload=name, digest=known) + then)
