"""The lock files for a fleet: those of its project, else the shipped ones.

A project has its own in ``locks/``, beside the fleet file or beside its directory:
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
    """Return the lock files for a fleet file. A lock file of its project replaces a shipped one."""
    engines = {name: PYTHON for name, engine in ENGINES.items() if engine.has_locks}
    suffixes = {"litellm": PYTHON, "claude": NPM, **engines}
    own = _own(fleet_file)
    files = {}
    for name, suffix in suffixes.items():
        files[name] = dict(_files(SHIPPED / name / "locks", suffix, own=False))
        if own:
            files[name] |= _files(own / name, suffix, own=True)
    return Locks(suffixes, files, own)


def _own(fleet_file: Path) -> Path | None:
    """Return the ``locks/`` of the fleet file's project; ``None`` if it has none."""
    # Resolved, because a fleet file can be a symbolic link into its project.
    directory = fleet_file.resolve().parent
    folders = (directory / OWN, directory.parent / OWN)
    return next((folder for folder in folders if folder.is_dir()), None)


def _files(folder: Path, suffix: str, *, own: bool) -> Iterator[tuple[str, LockFile]]:
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.suffix == suffix:
            yield path.stem, LockFile(path, own)
