"""Who changes a host, and from which revision of the fleet file: recorded by every script."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet import __version__
from mirrorfleet.config.problems import printable
from mirrorfleet.runtime import run
from mirrorfleet.runtime.paths import STATE
from mirrorfleet.runtime.shell import shell

RECORD = f"{STATE}/applied"
"""The record on a host: time, person, revision and release between tabs, on one line."""

SCRIPT = Path(__file__).parent / "scripts" / "record_run.sh"


@dataclass(frozen=True)
class Applied:
    """``by`` is USER@MACHINE. ``revision`` is the git commit of the fleet file's directory.

    The revision ends with ``-dirty`` if a file of the repository has changed since; it is ""
    outside of a repository. ``release`` is that of Mirrorfleet.
    """

    by: str
    revision: str
    release: str = __version__


def applied() -> Applied:
    """Return who runs this program, and from which revision. Asks git once in a run."""
    return run.current().once(applied, _applied)


def record() -> str:
    """Return the shell lines that record this run on a host, after `lock_host.sh`."""
    now = applied()
    return shell(SCRIPT, applied=f"{now.by}\t{now.revision}\t{now.release}")


def _applied() -> Applied:
    path = next((host.data.get("fleet_file") for host in run.hosts()), None)
    return Applied(printable(_person()), revision(Path(path).parent) if path else "")


def _person() -> str:
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def revision(directory: Path) -> str:
    """Return the commit of a directory, "" if git does not know one."""
    command = ("git", "-C", str(directory), "describe")
    try:
        done = subprocess.run(
            [*command, "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return printable(done.stdout.strip()) if done.returncode == 0 else ""
