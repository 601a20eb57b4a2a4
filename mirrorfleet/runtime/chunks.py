"""The upload of one large file in chunks: an interrupted run continues at its chunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyinfra.api.command import FileUploadCommand

from mirrorfleet.runtime.chunk import Chunk
from mirrorfleet.runtime.commands import Commands, visible_script
from mirrorfleet.runtime.meter import Meter, line
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.upload import INBOX

SCRIPTS = Path(__file__).parent / "scripts"

CHUNK = 512 * 1024**2
"""The most bytes that an interrupted run sends again; a host needs room for two chunks."""


def send(
    path: Path,
    name: str,
    directory: str,
    *,
    digest: str,
    start: int,
    owner: str,
    meter: Meter,
) -> Commands:
    """Append the rest of a file, from the byte ``start``, to ``directory``/``name`` on the host.

    The inbox must be open. ``digest`` is that of the whole file, ``owner`` its model in messages.
    ``meter`` prints the progress; its ``before`` is what arrived before this file in this run.
    """
    size, before = path.stat().st_size, meter.before
    for at in range(start, size, CHUNK):
        length = min(CHUNK, size - at)
        piece = f"{digest[:16]}.{at}"
        content: Any = Chunk(path, at, length, Meter(meter.what, meter.total, before + at - start))
        yield FileUploadCommand(content, f"{INBOX}/{piece}", _sudo=False, _doas=False)
        take = shell(
            SCRIPTS / "append_chunk.sh",
            piece=piece,
            part=directory,
            name=name,
            start=at,
            model=owner,
            progress=line(meter.what, before + at + length - start, meter.total),
        )
        yield visible_script(take, "")
