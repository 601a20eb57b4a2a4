"""Pure: the installer for Linux, WSL and macOS, one self-contained shell script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from mirrorfleet.config import reading
from mirrorfleet.planning import ClaudePlan
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.render import isolated

HERE = Path(__file__).parent
USER_FILES = [
    HERE / name
    for name in ("json_file.py", "settings_backup.py", "backup_file.py", "files/user_files.py")
]
CLIENT = "@CLIENT@"

Packages = Mapping[str, tuple[str, str, str]]
"""The client's package, its file, and its SHA-512, by machine as `uname -sm` prints it."""


def installer(plan: ClaudePlan, packages: Packages, key: str | None = None) -> bytes:
    """Return the installer of a group: for everybody, or with the ``key`` of one developer."""
    [client] = plan.users
    [version] = plan.versions
    certificates = [each for each in plan.certificates if each.source]
    carried = {
        "GROUP": client.group,
        "SCOPE": client.scope,
        "VERSION": version,
        "DIRECTORY": client.directory,
        "COMMAND": plan.isolated[0].command if plan.isolated else "",
        "PERSONAL": "no" if key is None else "yes",
        "KEY": shlex.quote(key or ""),
        "SETTINGS": written(plan.managed.settings if plan.managed else client.settings).decode(),
        "STATE": written(client.state).decode(),
        "CERTIFICATE": shlex.quote(certificates[0].path if certificates else ""),
        "CERTIFICATES": "".join(reading.text(each.source) for each in certificates if each.source),
        "LAUNCHER": "".join(isolated(each, CLIENT).decode() for each in plan.isolated),
        "USER_FILES": user_files(),
        "PACKAGES": "\n".join(
            f"        {machine!r}) echo {shlex.join(package)} ;;"
            for machine, package in packages.items()
        ),
    }
    text = (HERE / "templates/install.sh.in").read_text(encoding="utf-8")
    for name, content in carried.items():
        text = text.replace(f"@{name}@", content.rstrip("\n"))
    return text.encode()


def user_files() -> str:
    """Return the modules of ``USER_FILES`` as one program."""
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in USER_FILES)
    alone = re.sub(
        r"^from (__future__|mirrorfleet\.\S+) import (\([^)]*\)|.*)\n", "", text, flags=re.MULTILINE
    )
    return f"from __future__ import annotations\n\n{alone}"
