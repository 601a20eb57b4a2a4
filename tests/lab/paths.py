"""Where the lab keeps things. Whatever is not listed here, the lab does not write."""

import os
import pwd
from pathlib import Path

# Of this boot of the machine: the lock, consoles, kernel settings to put back.
RUN = Path("/run/mirrorfleet-lab")
LOCK = RUN / "lock"
PURPOSE = RUN / "purpose"

# The hosts' disks: they outlive a crash and a reboot of the machine.
HOSTS = Path("/var/lib/mirrorfleet-lab/hosts")

REPOSITORY = Path(__file__).resolve().parents[2]

# Git-ignored: what a person or a deploy needs to log in.
ACCESS = REPOSITORY / ".lab"


def cache() -> Path:
    """The directory of base images. Only root may look inside: it holds setuid programs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mirrorfleet" / "lab"


def invoker() -> tuple[int, int]:
    """User and group of the person at the keyboard, also when sudo made them root."""
    uid = int(os.environ.get("SUDO_UID", os.getuid()))
    return uid, int(os.environ.get("SUDO_GID", os.getgid()))


def invoker_home() -> Path:
    """The home directory of the person at the keyboard."""
    try:
        return Path(pwd.getpwuid(invoker()[0]).pw_dir)
    except KeyError:
        return Path.home()
