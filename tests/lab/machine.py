"""What this machine must be able to do, and what to do about it where it cannot."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import paths
from .image import KEYRING
from .terminal import CannotRun

# Program or file -> Debian package.
_NEEDED = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "mount": "mount",
    "awk": "mawk",
    str(KEYRING): "debian-archive-keyring",
}

# One mount of the kind that every host needs, in namespaces of the kind that every host needs.
_TRIAL = """
mkdir lower upper work root
mount -t overlay overlay root -o lowerdir=lower,upperdir=upper,workdir=work
"""


_NO_NAMESPACES = (
    "this machine lets even root make no mount namespaces (a container without privileges?); "
    "use a virtual machine, or start the container with --privileged"
)
_NO_TIME = (
    "this machine makes no time namespaces, which need Linux 5.6 or newer, and in a container the "
    "capability CAP_SYS_TIME as well"
)
_NO_OVERLAY = (
    f"no overlay filesystem can be mounted below {paths.HOSTS.parent}; that directory must be on "
    "a disk of its own kind (ext4, xfs), which in a container means a volume, and the kernel "
    "needs the module overlay (`modprobe overlay`)"
)


def require_root() -> None:
    """Refuse anybody but root, and anything but Linux."""
    if not sys.platform.startswith("linux"):
        raise CannotRun("the lab needs Linux: use a Debian or Ubuntu machine, or a virtual one")
    if os.geteuid() != 0:
        raise CannotRun("the lab boots hosts and needs root: run it again with sudo")


def require_programs() -> None:
    """Refuse a machine that lacks a program, and name the package that has it."""
    missing = sorted({package for need, package in _NEEDED.items() if not _found(need)})
    if missing:
        raise CannotRun(f"missing programs; install them: apt-get install {' '.join(missing)}")


def require_rights() -> None:
    """Refuse a machine whose kernel does not do for us what hosts need. Makes the directory of the
    hosts' disks, because there the mounts must work."""
    paths.HOSTS.parent.mkdir(mode=0o700, exist_ok=True)  # it will hold setuid programs
    paths.HOSTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trial-", dir=paths.HOSTS) as scratch:
        _try(["unshare", "--mount", "true"], scratch, _NO_NAMESPACES)
        _try(["unshare", "--time", "--monotonic", "0", "true"], scratch, _NO_TIME)
        _try(["unshare", "--mount", "sh", "-euc", _TRIAL], scratch, _NO_OVERLAY)


def _found(need: str) -> bool:
    return Path(need).exists() if need.startswith("/") else shutil.which(need) is not None


def _try(command: list[str], where: str, complaint: str) -> None:
    done = subprocess.run(command, check=False, cwd=where, capture_output=True, text=True)
    if done.returncode:
        raise CannotRun(f"{complaint}\n({done.stderr.strip()})")
