"""What a run over SSH does with a developer's own files, done by the developer: in an installer.

user_files.py install|remove DIRECTORY SETTINGS STATE. The installer carries this file after
json_file.py and receipt.py, so it needs nothing but Python's own library.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from mirrorfleet.roles.claude.json_file import NotOurs
from mirrorfleet.roles.claude.receipt import steps


def place(path: str) -> Path:
    """Return where a file of the home stands. Links are followed as long as they stay there."""
    home = Path.home().resolve()
    real = (Path.home() / path).resolve()
    if home not in real.parents:
        sys.exit(f"{path} leads out of your home, to {real}")
    return real


def read(path: Path) -> bytes | None:
    if not path.exists():
        return None
    if not path.is_file():
        sys.exit(f"{path} is not a regular file: move it; nothing was changed")
    return path.read_bytes()


def write(path: Path, content: bytes | None) -> None:
    """Put a file in its place, whole at any moment, or remove it."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.mirrorfleet.", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        new.chmod(mode)
        new.replace(path)
    except BaseException:
        new.unlink()
        raise


def main(job: str, directory: str, settings: str, state: str) -> None:
    beside = ".claude.json" if directory == ".claude" else f"{directory}/.claude.json"
    carried = {f"{directory}/settings.json": settings, beside: state}
    owned = {
        path: json.loads(Path(file).read_bytes()) if job == "install" else {}
        for path, file in carried.items()
    }
    paper = place(f"{directory}/mirrorfleet-receipt.json")
    places = {path: place(path) for path in owned}
    try:
        there = {path: read(real) for path, real in places.items()}
        for path, content in list(steps(there, read(paper), owned)):
            real = places[path] if path else paper
            if read(real) != content:
                write(real, content)
    except NotOurs as error:
        which = ", ".join(map(str, [*places.values(), paper]))
        sys.exit(f"one of {which} {error}: mend or move it; nothing was changed")
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
