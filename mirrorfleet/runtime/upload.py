"""Large files on their way to a host: by SFTP into a directory that nobody else can enter."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path

from pyinfra.api.command import FileUploadCommand

from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.digests import digest
from mirrorfleet.runtime.paths import STATE

INBOX = f"{STATE}/inbox"

# Below /var/lib, so that no other user can have put anything there first. What a cut run left
# behind long ago goes.
OPEN = f"""\
install -d -m 700 -o "${{SUDO_UID:-${{DOAS_USER:-0}}}}" {INBOX}
find {STATE} -maxdepth 1 -name 'work.*' -mmin +60 -exec rm -rf {{}} +
find {INBOX} -type f -mmin +60 -delete
"""

# Root takes the file out of the login user's hands before it looks at it.
TAKE = """\
work=$(mktemp -d {state}/work.XXXXXX)
trap 'rm -rf "$work"' EXIT
mv {inbox}/{name} "$work/upload"
chown root:root "$work/upload"
echo "{digest}  $work/upload" | sha256sum --check --quiet
cd "$work"
{then}
"""


def upload(file: Path | io.BytesIO, then: str, first: str = "") -> Commands:
    """Send a file to the host and run the shell script ``then`` as root with it.

    The script starts in an empty directory for root's eyes only, where the file is ``upload``,
    checked against the digest it had here; the directory goes when the script ends. ``first`` is
    run before the file is sent.
    """
    content: str | io.BytesIO
    if isinstance(file, Path):
        content, known = str(file), digest(file)
    else:
        content, known = file, sha256(file.getvalue()).hexdigest()
    name = known[:16]
    yield script(OPEN + first)
    yield FileUploadCommand(content, f"{INBOX}/{name}", _sudo=False, _doas=False)
    yield script(TAKE.format(state=STATE, inbox=INBOX, name=name, digest=known, then=then))
