"""Which lock files a fleet can use: those of its own repository, then the ones that are shipped.

A repository keeps its own in ``locks/``, beside the fleet file or beside the folder that holds it:
``locks/litellm/1.106.12.txt``, ``locks/vllm/0.33.0-cpu.txt``, ``locks/claude/2.1.340.json``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mirrorfleet.config.lock_files import SUFFIXES, LockFile, Locks

SHIPPED = Path(__file__).parent / "roles"
OWN = "locks"


def locks(fleet_file: Path) -> Locks:
    """Return the lock files for a fleet file. One of its repository replaces a shipped one."""
    shipped = {name: SHIPPED / name / "locks" for name in SUFFIXES}
    found = {name: dict(_files(folder, name, own=False)) for name, folder in shipped.items()}
    if own := _own(fleet_file):
        for name in SUFFIXES:
            found[name] |= _files(own / name, name, own=True)
    return Locks(found)


def _own(fleet_file: Path) -> Path | None:
    """Return the ``locks/`` of a fleet file's repository, if it has one."""
    # Through a link to the fleet file, its repository is where the file itself is.
    folder = fleet_file.resolve().parent
    places = (folder / OWN, folder.parent / OWN)
    return next((place for place in places if place.is_dir()), None)


def _files(folder: Path, service: str, *, own: bool) -> Iterator[tuple[str, LockFile]]:
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.suffix == SUFFIXES[service]:
            yield path.stem, LockFile(path, own)
