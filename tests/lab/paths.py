"""The paths of the lab. It writes to no others."""

import os
import pwd
from pathlib import Path

# Of this boot of the machine: the lock, consoles, kernel settings to restore.
RUN = Path("/run/mirrorfleet-lab")
LOCK = RUN / "lock"
PURPOSE = RUN / "purpose"

# The hosts' disks: they survive a crash and a reboot of the machine.
HOSTS = Path("/var/lib/mirrorfleet-lab/hosts")

REPOSITORY = Path(__file__).resolve().parents[2]

# Git-ignored: the files that a user or a deploy needs to log in.
ACCESS = REPOSITORY / ".lab"


def cache() -> Path:
    """Return the directory of base images. Only root may read it: it contains setuid programs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mirrorfleet" / "lab"


def invoker() -> tuple[int, int]:
    """Return the IDs of the user and group that ran the command, also under sudo."""
    uid = int(os.environ.get("SUDO_UID", os.getuid()))
    return uid, int(os.environ.get("SUDO_GID", os.getgid()))


def invoker_home() -> Path:
    """Return the home directory of the user that ran the command."""
    try:
        return Path(pwd.getpwuid(invoker()[0]).pw_dir)
    except KeyError:
        return Path.home()
