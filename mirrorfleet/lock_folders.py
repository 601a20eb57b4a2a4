"""Which lock files a fleet can use: those of its own repository, then the ones that are shipped.

A repository keeps its own in ``locks/``, beside the fleet file or beside the folder that holds it:
``locks/litellm/1.106.12.txt``, ``locks/vllm/0.33.0-cpu.txt``, ``locks/claude/2.1.340.json``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mirrorfleet.config.lock_files import NPM, PYTHON, LockFile, Locks
from mirrorfleet.engines.registry import ENGINES

SHIPPED = Path(__file__).parent / "roles"
OWN = "locks"


def locks(fleet_file: Path) -> Locks:
    """Return the lock files for a fleet file. One of its repository replaces a shipped one."""
    engines = {name: PYTHON for name, engine in ENGINES.items() if engine.has_locks}
    suffixes = {"litellm": PYTHON, "claude": NPM, **engines}
    own = _own(fleet_file)
    found = {}
    for name, suffix in suffixes.items():
        found[name] = dict(_files(SHIPPED / name / "locks", suffix, own=False))
        if own:
            found[name] |= _files(own / name, suffix, own=True)
    return Locks(suffixes, found)


def _own(fleet_file: Path) -> Path | None:
    """Return the ``locks/`` of a fleet file's repository, if it has one."""
    # Through a link to the fleet file, its repository is where the file itself is.
    folder = fleet_file.resolve().parent
    places = (folder / OWN, folder.parent / OWN)
    return next((place for place in places if place.is_dir()), None)


def _files(folder: Path, suffix: str, *, own: bool) -> Iterator[tuple[str, LockFile]]:
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.suffix == suffix:
            yield path.stem, LockFile(path, own)
