"""Install or remove the settings in a developer's home: the part of the installer in Python.

user_files.py install|remove DIRECTORY SETTINGS STATE. The installer includes this file after
json_file.py, settings_backup.py and backup_file.py, so it needs Python's standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from mirrorfleet.roles.claude.backup_file import write_steps
from mirrorfleet.roles.claude.json_file import InvalidFile


def place(path: str) -> Path:
    """Return the real path of a file in the home; exit if links lead out of the home."""
    home = Path.home().resolve()
    real = (Path.home() / path).resolve()
    if home not in real.parents:
        sys.exit(
            f"{path} links to {real}, outside of your home: remove the link; nothing was changed"
        )
    return real


def read(path: Path) -> bytes | None:
    """Return the content of a file; None if it does not exist."""
    if not path.exists():
        return None
    if not path.is_file():
        sys.exit(f"{path} is not a regular file: move it; nothing was changed")
    return path.read_bytes()


def write(path: Path, content: bytes | None) -> None:
    """Replace a file atomically, or remove it."""
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
    """Install or remove the settings and the state of the client."""
    beside = ".claude.json" if directory == ".claude" else f"{directory}/.claude.json"
    carried = {f"{directory}/settings.json": settings, beside: state}
    owned = {
        path: json.loads(Path(file).read_bytes()) if job == "install" else {}
        for path, file in carried.items()
    }
    backup = place(f"{directory}/mirrorfleet-receipt.json")
    places = {path: place(path) for path in owned}
    try:
        present = {path: read(real) for path, real in places.items()}
        for path, content in list(write_steps(present, read(backup), owned)):
            real = places[path] if path else backup
            if read(real) != content:
                write(real, content)
    except InvalidFile as error:
        which = ", ".join(map(str, [*places.values(), backup]))
        sys.exit(f"one of {which} {error}: correct or move it; nothing was changed")
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
